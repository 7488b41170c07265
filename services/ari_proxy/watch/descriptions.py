"""Copies in a few words. Pure; whatever a message holds, there are words for it."""

from typing import Any, Final, assert_never

import msgspec

from ari_proxy.protocol.malformed import UNDECODABLE
from ari_proxy.tap.copies import Copy

#: Characters of a response's body that are shown.
_SHOWN: Final = 60
#: What of an event tells most, by the field that has it.
_DETAILS: Final = ("digit", "dialstatus", "variable", "cause_txt", "reason", "eventname")


def message_of(copy: Copy) -> dict[str, Any]:
    """Return the copied message, or {} where it is no JSON object."""
    return _object(copy.message)


def _object(text: msgspec.Raw | str) -> dict[str, Any]:
    try:
        decoded = msgspec.json.decode(text)
    except UNDECODABLE:
        return {}
    return decoded if isinstance(decoded, dict) else {}


def event_body(copy: Copy) -> dict[str, Any]:
    """Return the ARI event in a copy of one, or {}."""
    return _object(str(message_of(copy).get("ari_body", "")))


def describe(copy: Copy) -> str:
    """Return what was said, without who said it, on one line that any terminal can show."""
    text = " ".join(_describe(copy).split())
    return "".join(character if character.isprintable() else "\ufffd" for character in text)


def _describe(copy: Copy) -> str:
    message = message_of(copy)
    match copy.kind:
        case "app_start":
            return f"AppStart {message.get('application', '')} {message.get('channel_id', '')}"
        case "event" | "unheard":
            return _describe_event(copy, message)
        case "command" | "request":
            return f"{message.get('method', '')} {message.get('url', '')}"
        case "response":
            return _describe_response(message)
        case "skipped":
            return f"{message.get('count', 0)} copies were too many, and are not shown"
        case "end":
            return "the dialog has ended"
        case _:
            assert_never(copy.kind)


def _describe_event(copy: Copy, message: dict[str, Any]) -> str:
    sequence = message.get("sequence", 0)
    text = f"{sequence} {message.get('type', '')}" if sequence else str(message.get("type", ""))
    return f"{text} {_detail(event_body(copy))}".rstrip()


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
    told = _object(body).get("message", body)
    return f"{message.get('status_code', '')} {shortened(str(told), _SHOWN)}".rstrip()


def is_failure(copy: Copy) -> bool:
    """Return whether a copy tells that something did not work."""
    status = message_of(copy).get("status_code", 0) if copy.kind == "response" else 0
    return copy.kind in {"unheard", "skipped"} or (isinstance(status, int) and status >= 400)  # noqa: PLR2004


def shortened(text: str, length: int) -> str:
    """Return `text` on one line, with an ellipsis if it is longer than that."""
    line = " ".join(text.split())
    return line if len(line) <= length else line[: length - 1] + "…"
