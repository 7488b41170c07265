"""JSON Schemas of all messages on the bus, and of all events, for other languages and their tools.

They describe what applications read and write. Unknown fields are allowed everywhere, since
Asterisk and ari-proxy add some with every version. Times have no `format`: Asterisk writes `+0000`
where JSON Schema's `date-time` has a colon.
"""

from collections.abc import Iterable, Mapping
from typing import Any, Final, get_args

import msgspec

from .client.events import KnownEvent, RawEvent, decode
from .protocol.malformed import UNDECODABLE
from .protocol.messages import (
    AppStart,
    AppStartReply,
    Command,
    CommandResponse,
    Event,
    ServerCommandResponse,
)

#: The dialect that they are written in.
DIALECT: Final = "https://json-schema.org/draft/2020-12/schema"
#: Messages on the bus (docs/reference/wire.md).
MESSAGES: Final[Mapping[str, Any]] = {
    kind.__name__: kind
    for kind in (AppStart, AppStartReply, Command, CommandResponse, Event, ServerCommandResponse)
}
#: Asterisk's events, and ari-proxy's own: what `ari_body` of an Event contains.
EVENTS: Final[Mapping[str, Any]] = {kind.__name__: kind for kind in get_args(KnownEvent)}

#: Messages' fields that contain JSON as a text.
_TEXTS_OF_JSON: Final = (("Event", "ari_body"), ("Command", "body"))


class UnknownSchemaError(Exception):
    """There is no schema of a name."""


def shown(name: str) -> str:
    """Return a schema as text; all names, one a line, messages first, if `name` is ''.

    Raises:
        UnknownSchemaError: there is none of this name.
    """
    if not name:
        return "\n".join([*sorted(MESSAGES), *sorted(EVENTS)])
    return _text(schema(name))


def problem(name: str, text: str) -> str:
    """Return why a text is no message or event of a kind, with its place; '' if it is one.

    What an Event carries is checked as well, if it is an event of a type that is known.

    Raises:
        UnknownSchemaError: there is none of this name.
    """
    try:
        message = msgspec.json.decode(text, type=_kind(name))
    except UNDECODABLE as error:
        return str(error)
    if not isinstance(message, Event):
        return ""
    event = decode(message.ari_body)
    return f"ari_body: {event.problem}" if isinstance(event, RawEvent) and event.problem else ""


def problems(name: str, lines: Iterable[str]) -> list[str]:
    """Return what is wrong with messages or events of a kind, one a line; empty if nothing is.

    Raises:
        UnknownSchemaError: there is none of this name.
    """
    found = ((number, problem(name, line)) for number, line in enumerate(lines, 1))
    return [f"line {number}: {text}" for number, text in found if text]


def documents() -> dict[str, str]:
    """Return the documents of docs/reference/schemas by their names."""
    return {
        "messages.json": f"{_text(bundle(MESSAGES))}\n",
        "events.json": f"{_text(bundle(EVENTS))}\n",
    }


def schema(name: str) -> dict[str, Any]:
    """Return the schema of one message or event, with all that it refers to.

    Raises:
        UnknownSchemaError: there is none of this name.
    """
    (reference,), definitions = _components([_kind(name)])
    return {"$schema": DIALECT, **reference, "$defs": definitions}


def bundle(kinds: Mapping[str, Any]) -> dict[str, Any]:
    """Return one document with the schemas of several, each in `$defs` by its name.

    Args:
        kinds: MESSAGES or EVENTS; a document is valid if it is one of them.
    """
    references, definitions = _components(kinds.values())
    return {"$schema": DIALECT, "anyOf": list(references), "$defs": definitions}


def _kind(name: str) -> Any:
    kind = MESSAGES.get(name) or EVENTS.get(name)
    if kind is None:
        raise UnknownSchemaError(f"there is no schema {name!r}; `ari-proxy schema` lists all")
    return kind


def _text(document: Mapping[str, Any]) -> str:
    return msgspec.json.format(msgspec.json.encode(document), indent=2).decode()


def _components(kinds: Iterable[Any]) -> tuple[tuple[dict[str, Any], ...], dict[str, Any]]:
    references, definitions = msgspec.json.schema_components(kinds, ref_template="#/$defs/{name}")
    for name, field in _TEXTS_OF_JSON:
        if name in definitions:
            definitions[name]["properties"][field]["contentMediaType"] = "application/json"
    return references, definitions
