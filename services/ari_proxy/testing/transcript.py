"""A recorded call, as `ari-proxy tail --json` has written it. Sans-I/O."""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Final

import msgspec

from ari_proxy.protocol.malformed import UNDECODABLE
from ari_proxy.protocol.messages import AppStart
from ari_proxy.tap.records import Kind, TapRecord

_record: Final = msgspec.json.Decoder(TapRecord)
_app_start: Final = msgspec.json.Decoder(AppStart)
#: What an application sends and gets; all else is drawn only.
REPLAYED: Final[frozenset[Kind]] = frozenset({"event", "command", "response"})


class TranscriptError(ValueError):
    """A record can't be replayed; the message says why."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Transcript:
    """The messages of one call, in order."""

    start: AppStart
    #: The AppStart as it was on the bus.
    announcement: bytes
    #: All of the dialog.
    records: tuple[TapRecord, ...]

    @property
    def begun_at(self) -> float:
        """Unix time of the first record."""
        return self.records[0].at


def read(lines: Iterable[str], dialog_id: str = "") -> Transcript:
    """Return a call from the lines of `tail --json`.

    Args:
        lines: one record each.
        dialog_id: of the call; '' for the only one.

    Raises:
        TranscriptError: there is no such call from its beginning on, or more than one; or a line is
            no record.
    """
    records = [_read_line(number, line) for number, line in enumerate(lines, 1) if line.strip()]
    starts = {record.dialog_id: record for record in records if record.kind == "app_start"}
    begun = _chosen(starts, dialog_id)
    own = [record for record in records if record.dialog_id == begun.dialog_id]
    if any(record.kind == "skipped" for record in records):
        raise TranscriptError("messages are missing in the record: there were too many per second")
    try:
        start = _app_start.decode(begun.message)
    except UNDECODABLE as error:
        raise TranscriptError(f"the AppStart of {begun.dialog_id} is malformed: {error}") from error
    return Transcript(start=start, announcement=bytes(begun.message), records=tuple(_in_order(own)))


def _in_order(records: list[TapRecord]) -> list[TapRecord]:
    """Return records in the order in which the application has seen what they tell.

    Ingest's copies and command's come on ways of their own, and the copy of a first command may be
    the older one: the application had the first event nevertheless.
    """
    ordered = sorted(records, key=lambda record: record.at)
    first = next((record for record in ordered if record.kind == "event"), None)
    before = [record for record in ordered if record.kind == "app_start" or record is first]
    return before + [record for record in ordered if record not in before]


def _read_line(number: int, line: str) -> TapRecord:
    try:
        return _record.decode(line)
    except UNDECODABLE as error:
        text = f"line {number} is not from `ari-proxy tail --json`: {error}"
        raise TranscriptError(text) from error


def _chosen(starts: dict[str, TapRecord], dialog_id: str) -> TapRecord:
    if dialog_id:
        if dialog_id not in starts:
            raise TranscriptError(f"the record has no AppStart of dialog {dialog_id}")
        return starts[dialog_id]
    if not starts:
        raise TranscriptError("the record has no AppStart: it must begin before the call")
    if len(starts) > 1:
        raise TranscriptError(f"name one of the record's dialogs: {', '.join(sorted(starts))}")
    return next(iter(starts.values()))
