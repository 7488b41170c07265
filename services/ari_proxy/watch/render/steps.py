"""A dialog as steps: the arrows and notes of its sequence diagram."""

from collections.abc import Iterable
from typing import Any, Final, Literal, NamedTuple

import msgspec

from ari_proxy.tap.ending import Ending, ending_of
from ari_proxy.tap.facts_reader import FactsReader
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


class Steps:
    """Makes the steps of one dialog, record by record; the last one says why it has ended."""

    def __init__(self) -> None:
        self._reader = FactsReader()

    def next(self, record: TapRecord) -> Step:
        """Return the next record as a step."""
        self._reader.follow(record)
        step = step_of(record)
        why = self.why
        if record.kind != "end" or why is None:
            return step
        return step._replace(text=f"{step.text}: {why.sentence}")

    @property
    def why(self) -> Ending | None:
        """Why the dialog has ended, once it has and its messages tell."""
        if not self._reader.facts.ended_at:
            return None
        ending = ending_of(self._reader.facts)
        return ending if ending.reason != "unknown" else None

    def next_row(self, record: TapRecord) -> bytes:
        """Return the next record's step as JSON on one line."""
        return msgspec.json.encode(self.next(record)._asdict())


def all_of(records: Iterable[TapRecord]) -> list[Step]:
    """Return the steps of one dialog's records."""
    return list(map(Steps().next, records))


def as_json(dialog_id: str, records: Iterable[TapRecord]) -> str:
    """Return a dialog's steps as one JSON object, with the messages as they were on the bus."""
    steps = Steps()
    rows = [steps.next(one)._asdict() | {"message": message_of(one)} for one in records]
    drawn: dict[str, Any] = {"dialog_id": dialog_id, "steps": rows}
    if (why := steps.why) is not None:
        drawn |= {"why": why._asdict()}
    return msgspec.json.encode(drawn).decode()
