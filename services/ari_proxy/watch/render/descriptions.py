"""Records in a few words, whatever their messages hold."""

from typing import Any, Final, assert_never

import msgspec

from ari_proxy.protocol.malformed import UNDECODABLE
from ari_proxy.tap.records import TapRecord

#: Characters shown of a response's body.
_SHOWN: Final = 60
#: Fields of an event worth showing, the first that it has.
_DETAILS: Final = ("digit", "dialstatus", "variable", "cause_txt", "reason", "eventname")


def message_of(record: TapRecord) -> dict[str, Any]:
    """Return a record's message, or {} if that is no JSON object."""
    return _object(record.message)


def _object(text: msgspec.Raw | str) -> dict[str, Any]:
    try:
        decoded = msgspec.json.decode(text)
    except UNDECODABLE:
        return {}
    return decoded if isinstance(decoded, dict) else {}


def event_body(record: TapRecord) -> dict[str, Any]:
    """Return the ARI event in a record of one, or {}."""
    return _object(str(message_of(record).get("ari_body", "")))


def describe(record: TapRecord) -> str:
    """Return a record's message on one line of printable characters, without its direction."""
    text = " ".join(_describe(record).split())
    return "".join(character if character.isprintable() else "\ufffd" for character in text)


def _describe(record: TapRecord) -> str:
    message = message_of(record)
    match record.kind:
        case "app_start":
            return f"AppStart {message.get('application', '')} {message.get('channel_id', '')}"
        case "event" | "unheard":
            return _describe_event(record, message)
        case "command" | "request":
            return f"{message.get('method', '')} {message.get('url', '')}"
        case "response":
            return _describe_response(message)
        case "skipped":
            why = message.get("reason", "too many per second")
            return f"{message.get('count', 0)} messages are not shown: {why}"
        case "end":
            return "the dialog has ended"
        case _:
            assert_never(record.kind)


def _describe_event(record: TapRecord, message: dict[str, Any]) -> str:
    sequence = message.get("sequence", 0)
    text = f"{sequence} {message.get('type', '')}" if sequence else str(message.get("type", ""))
    return f"{text} {_detail(event_body(record))}".rstrip()


def _detail(body: dict[str, Any]) -> str:
    playback = body.get("playback")
    if isinstance(playback, dict):
        return str(playback.get("media_uri", ""))
    for name in _DETAILS:
        if body.get(name):
            value = f"={body.get('value', '')}" if name == "variable" else ""
            return f"{body[name]}{value}"
    return ""


def _describe_response(message: dict[str, Any]) -> str:
    body = str(message.get("response_body", ""))
    text = _object(body).get("message", body)
    return f"{message.get('status_code', '')} {shortened(str(text), _SHOWN)}".rstrip()


def is_failure(record: TapRecord) -> bool:
    """Return whether a record shows a failure."""
    status = message_of(record).get("status_code", 0) if record.kind == "response" else 0
    return record.kind in {"unheard", "skipped"} or (isinstance(status, int) and status >= 400)  # noqa: PLR2004


def shortened(text: str, length: int) -> str:
    """Return `text` on one line, with an ellipsis if it is longer than that."""
    line = " ".join(text.split())
    return line if len(line) <= length else line[: length - 1] + "…"
