"""The flight recorder: the last calls of one server, as far as this process has seen them.

Sans-I/O. It keeps references to messages that pass anyway, and reads none of them until somebody
asks: then a page of calls or records at a time, so that no event waits for long.
"""

from typing import Final, TypeVar

import msgspec

from .call_records import (
    CALL_BYTES,
    MAX_CALL_FIELDS,
    RECORD_BYTES,
    CallRecords,
    KeptRecord,
    skipped,
)
from .facts import CallFacts
from .facts_reader import FactsReader
from .masking import Masking
from .records import Kind, RecordedAnswer, RecordedQuery, TapRecord

#: Of one page, which holds up all else: records, bytes that are read for facts, and bytes that are
#: masked and sent.
PAGE_RECORDS: Final = 400
FACTS_BYTES: Final = 400_000
PAGE_BYTES: Final = 100_000
#: Calls whose end was not seen, which a process without ingest never sees; the first go.
MAX_OPEN_CALLS: Final = 10_000
#: Of `max_bytes`, what ended calls have whatever open ones need: one part in so many.
_ENDED_SHARE: Final = 4
#: Calls whose facts are read in pages at a time; of more the first begins anew.
MAX_READINGS: Final = 16

_Struct = TypeVar("_Struct", bound=msgspec.Struct)


class _Page:
    """What one page may still take."""

    def __init__(self, size: int) -> None:
        self._records = PAGE_RECORDS
        self._bytes = size

    def takes(self, size: int) -> bool:
        """Take a record of so many bytes, and return whether there is room; the first has it."""
        is_full = self._records <= 0 or size > self._bytes
        if is_full and self._records < PAGE_RECORDS:
            return False
        self._records -= 1
        self._bytes -= size
        return True


class Recorder:
    """Keeps the records of calls, bounded in calls and bytes."""

    def __init__(
        self, server: str, name: str, *, max_calls: int, max_bytes: int, masking: Masking
    ) -> None:
        """Initialise an empty one.

        Args:
            server: whose calls it keeps.
            name: of this recorder, among those of other processes.
            max_calls: ended calls to keep.
            max_bytes: of all calls; of more ended ones go first, then open ones, but ended ones
                have a quarter for themselves.
            masking: of the messages that are shown.
        """
        self._server = server
        self._name = name
        self._max_calls = max_calls
        self._max_bytes = max_bytes
        self._masking = masking
        self._calls: dict[str, CallRecords] = {}
        self._open: dict[str, None] = {}
        #: With the bytes that they had when they ended.
        self._ended: dict[str, int] = {}
        self._ended_size = 0
        #: Readers of calls that no page had room for, each with the number of its next record.
        self._readings: dict[str, tuple[FactsReader, int]] = {}
        self._begun = 0
        #: Bytes that are kept.
        self.size = 0

    def __len__(self) -> int:
        """Return the number of calls that are kept."""
        return len(self._calls)

    # On the way of each message

    def keep(self, kind: Kind, at: float, dialog_id: str, message: bytes) -> None:
        """Keep a message of a dialog.

        Args:
            kind: of the record.
            at: Unix seconds.
            dialog_id: of the dialog; messages of the server itself are not kept.
            message: JSON, as on the bus.
        """
        call = self._calls.get(dialog_id)
        if call is None:
            if dialog_id in {"", self._server}:
                return
            call = self._begin(dialog_id)
        call += (kind, at, message)
        self.size = size = self.size + len(message) + RECORD_BYTES
        if size > self._max_bytes or kind == "end" or len(call) > MAX_CALL_FIELDS:
            self._limit(call, kind)

    def _begin(self, dialog_id: str) -> CallRecords:
        self._begun += 1
        self.size += CALL_BYTES
        call = self._calls[dialog_id] = CallRecords(dialog_id, self._begun)
        self._open[dialog_id] = None
        if len(self._open) > MAX_OPEN_CALLS:
            self._forget(next(iter(self._open)))
        return call

    # Its bounds

    def _limit(self, call: CallRecords, kind: Kind) -> None:
        if len(call) > MAX_CALL_FIELDS:
            self.size -= call.shorten()
        if kind == "end":
            self._end(call)
        while len(self._ended) > self._max_calls:
            self._forget(next(iter(self._ended)))
        while self.size > self._max_bytes and self._calls:
            has_more = self._ended_size * _ENDED_SHARE > self._max_bytes
            calls = self._ended if has_more or not self._open else self._open
            self._forget(next(iter(calls)))

    def _end(self, call: CallRecords) -> None:
        if call.dialog_id not in self._ended:
            del self._open[call.dialog_id]
            size = self._ended[call.dialog_id] = call.size
            self._ended_size += size

    def _forget(self, dialog_id: str) -> None:
        self.size -= self._calls.pop(dialog_id).size
        self._open.pop(dialog_id, None)
        self._ended_size -= self._ended.pop(dialog_id, 0)
        self._readings.pop(dialog_id, None)

    # Shown

    def answer(self, query: RecordedQuery) -> RecordedAnswer | None:
        """Return a page of what is asked for; None if another recorder is asked."""
        if not query.source:
            return None if self._name in query.known else RecordedAnswer(self._name)
        if query.source != self._name:
            return None
        if query.dialog_id:
            return self._records_page(query)
        return self._calls_page(query)

    def _calls_page(self, query: RecordedQuery) -> RecordedAnswer:
        """Return the facts of calls, the newest first, before the number that the query names.

        A page may end within a call, whose facts the next one has.
        """
        calls: list[CallFacts] = []
        page = _Page(FACTS_BYTES)
        for call in reversed(self._calls.values()):
            if query.position and call.number >= query.position:
                continue
            facts = self._facts(call, page)
            if facts is None:
                return RecordedAnswer(self._name, calls=calls, position=call.number + 1)
            calls.append(facts)
        return RecordedAnswer(self._name, calls=calls)

    def _facts(self, call: CallRecords, page: _Page) -> CallFacts | None:
        """Return the facts of a call; None if the page is full before it has been read."""
        reader, number = self._readings.pop(call.dialog_id, (FactsReader(), 0))
        for record in call.since(number):
            if not page.takes(len(record.message) + RECORD_BYTES):
                self._readings[call.dialog_id] = reader, record.number
                if len(self._readings) > MAX_READINGS:
                    del self._readings[next(iter(self._readings))]
                return None
            reader.follow(self._record(call.dialog_id, record, record.message))
        return self._masked_facts(reader.facts)

    def _masked_facts(self, facts: CallFacts) -> CallFacts:
        """Return facts with masks, but for the ids by which they belong together."""
        return msgspec.structs.replace(
            facts,
            channels={
                channel_id: self._masked(channel, channel_id=channel_id)
                for channel_id, channel in facts.channels.items()
            },
            failed=[self._masked(one, channel_id=one.channel_id) for one in facts.failed],
            departures=[self._masked(one, channel_id=one.channel_id) for one in facts.departures],
        )

    def _masked(self, facts: _Struct, **ids: str) -> _Struct:
        masked = self._masking.masked(msgspec.json.encode(facts))
        return msgspec.structs.replace(msgspec.json.decode(masked, type=type(facts)), **ids)

    def _records_page(self, query: RecordedQuery) -> RecordedAnswer:
        """Return records of one call, from the number that the query names."""
        records: list[TapRecord] = []
        page = _Page(PAGE_BYTES)
        call = self._calls.get(query.dialog_id)
        for record in call.since(query.position) if call is not None else ():
            shown = record if len(record.message) <= PAGE_BYTES else _too_large(record)
            if not page.takes(len(shown.message) + RECORD_BYTES):
                return RecordedAnswer(self._name, records=records, position=record.number)
            masked = self._masking.masked(shown.message)
            records.append(self._record(query.dialog_id, shown, masked))
        return RecordedAnswer(self._name, records=records)

    def _record(self, dialog_id: str, kept: KeptRecord, message: bytes) -> TapRecord:
        raw = msgspec.Raw(message)
        return TapRecord(kept.kind, kept.at, self._server, dialog_id, raw)


def _too_large(record: KeptRecord) -> KeptRecord:
    message = skipped(1, "the message is too large")
    return record._replace(kind="skipped", message=message)
