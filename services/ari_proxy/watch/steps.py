"""A dialog as steps: who said what to whom. Pure."""

from collections.abc import Iterable
from typing import Any, Final, Literal, NamedTuple

import msgspec

from ari_proxy.tap.copies import Copy, Kind

from .descriptions import describe, is_failure, message_of

Participant = Literal["Asterisk", "ingest", "application", "command"]
#: From left to right.
PARTICIPANTS: Final[tuple[Participant, ...]] = ("Asterisk", "ingest", "application", "command")

_WAYS: Final[dict[Kind, tuple[Participant, Participant]]] = {
    "app_start": ("ingest", "application"),
    "event": ("Asterisk", "application"),
    "unheard": ("Asterisk", "application"),
    "command": ("application", "command"),
    "request": ("command", "Asterisk"),
    "response": ("command", "application"),
}


class Step(NamedTuple):
    """One arrow of a sequence diagram, or a note across it if it goes from nobody to nobody."""

    at: float  #: Unix seconds
    source: Participant | None
    target: Participant | None
    text: str
    kind: Kind
    failed: bool

    @property
    def is_answer(self) -> bool:
        """Whether the arrow is dashed."""
        return self.kind == "response"


def step_of(copy: Copy) -> Step:
    """Return what a copy shows."""
    source, target = _WAYS.get(copy.kind, (None, None))
    return Step(copy.at, source, target, describe(copy), copy.kind, is_failure(copy))


def _row(copy: Copy) -> dict[str, Any]:
    return step_of(copy)._asdict()


def row_of(copy: Copy) -> bytes:
    """Return what a copy shows, as JSON on one line."""
    return msgspec.json.encode(_row(copy))


def as_json(dialog_id: str, copies: Iterable[Copy]) -> str:
    """Return a dialog's steps as one JSON object, with the messages as they went over the bus."""
    rows = [_row(copy) | {"message": message_of(copy)} for copy in copies]
    return msgspec.json.encode({"dialog_id": dialog_id, "steps": rows}).decode()
