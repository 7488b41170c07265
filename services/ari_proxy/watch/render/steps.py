"""A dialog as steps: the arrows and notes of its sequence diagram."""

from collections.abc import Iterable
from typing import Any, Final, Literal, NamedTuple

import msgspec

from ari_proxy.tap.records import Kind, TapRecord

from .descriptions import describe, is_failure, message_of

Participant = Literal["Asterisk", "ingest", "application", "command"]
#: From left to right.
PARTICIPANTS: Final[tuple[Participant, ...]] = ("Asterisk", "ingest", "application", "command")

_DIRECTIONS: Final[dict[Kind, tuple[Participant, Participant]]] = {
    "app_start": ("ingest", "application"),
    "event": ("Asterisk", "application"),
    "unheard": ("Asterisk", "application"),
    "command": ("application", "command"),
    "request": ("command", "Asterisk"),
    "response": ("command", "application"),
}


class Step(NamedTuple):
    """One arrow of a sequence diagram, or a note across it if it has no source and target."""

    at: float  #: Unix seconds
    source: Participant | None
    target: Participant | None
    text: str
    kind: Kind
    failed: bool

    @property
    def is_answer(self) -> bool:
        """True if the arrow is dashed."""
        return self.kind == "response"


def step_of(record: TapRecord) -> Step:
    """Return a record as a step."""
    source, target = _DIRECTIONS.get(record.kind, (None, None))
    return Step(record.at, source, target, describe(record), record.kind, is_failure(record))


def _row(record: TapRecord) -> dict[str, Any]:
    return step_of(record)._asdict()


def row_of(record: TapRecord) -> bytes:
    """Return a record's step as JSON on one line."""
    return msgspec.json.encode(_row(record))


def as_json(dialog_id: str, records: Iterable[TapRecord]) -> str:
    """Return a dialog's steps as one JSON object, with the messages as they were on the bus."""
    rows = [_row(record) | {"message": message_of(record)} for record in records]
    return msgspec.json.encode({"dialog_id": dialog_id, "steps": rows}).decode()
