"""The flight recorder: the last calls of one server, as far as this process has seen them.

Sans-I/O. It keeps references to messages that pass anyway, and reads none of them until somebody
asks: then a page of calls or records at a time, so that no event waits for long.
"""

from collections.abc import Iterator, Sequence
from itertools import islice
from typing import Any, Final

import msgspec

from .facts import CallFacts
from .facts_reader import facts_of
from .masking import Masking
from .records import Kind, RecordedAnswer, RecordedQuery, TapRecord

#: Records of one call; of more those in the middle are left out, a quarter at a time.
MAX_CALL_RECORDS: Final = 2_000
#: What Python needs for a record and for a call, besides its message; bytes.
RECORD_BYTES: Final = 90
CALL_BYTES: Final = 700
#: Of one page: records that are read, and bytes that are sent.
PAGE_RECORDS: Final = 400
PAGE_BYTES: Final = 200_000

_Kept = tuple[Kind, float, bytes]
_FIELDS: Final = 3
_MAX_FIELDS: Final = MAX_CALL_RECORDS * _FIELDS


class _Call(list[Any]):
    """The records of one call: of each its kind, time and message, one behind another.

    An object for each record, or a list beside this one, would cost an event as much as all else.
    """

    __slots__ = ("dialog_id", "left_out", "number")

    def __init__(self, dialog_id: str, number: int) -> None:
        super().__init__()
        self.dialog_id = dialog_id
        #: Counted from 1 in the order in which calls began.
        self.number = number
        self.left_out = 0

    @property
    def records_count(self) -> int:
        """The number of its records."""
        return len(self) // _FIELDS

    @property
    def size(self) -> int:
        """Bytes that it takes."""
        return CALL_BYTES + _size(self)

    def records(self, start: int = 0) -> Iterator[_Kept]:
        """Yield its records from a position on."""
        fields = islice(self, start * _FIELDS, None)
        return zip(fields, fields, fields, strict=True)

    def shorten(self) -> int:
        """Leave out records from the middle: how a call began and ended says the most.

        Returns:
            The bytes that they took.
        """
        quarter = MAX_CALL_RECORDS // 4
        middle = slice(2 * quarter * _FIELDS, 3 * quarter * _FIELDS)
        dropped = _size(self[middle])
        del self[middle]
        self.left_out += quarter
        return dropped


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
            max_bytes: of all calls; of more the one that began first goes.
            masking: of the messages that are shown.
        """
        self._server = server
        self._name = name
        self._max_calls = max_calls
        self._max_bytes = max_bytes
        self._masking = masking
        self._calls: dict[str, _Call] = {}
        self._ended: dict[str, None] = {}
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
        if size > self._max_bytes or kind == "end" or len(call) > _MAX_FIELDS:
            self._limit(call, kind)

    def _begin(self, dialog_id: str) -> _Call:
        self._begun += 1
        self.size += CALL_BYTES
        call = self._calls[dialog_id] = _Call(dialog_id, self._begun)
        return call

    # Its bounds

    def _limit(self, call: _Call, kind: Kind) -> None:
        if call.records_count > MAX_CALL_RECORDS:
            self.size -= call.shorten()
        if kind == "end":
            self._ended[call.dialog_id] = None
        while len(self._ended) > self._max_calls:
            self._forget(next(iter(self._ended)))
        while self.size > self._max_bytes and self._calls:
            self._forget(next(iter(self._calls)))

    def _forget(self, dialog_id: str) -> None:
        self.size -= self._calls.pop(dialog_id).size
        self._ended.pop(dialog_id, None)

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
        """Return the facts of calls, the newest first, before the number that the query names."""
        page: list[CallFacts] = []
        read = size = 0
        for call in reversed(self._calls.values()):
            if query.position and call.number >= query.position:
                continue
            if read >= PAGE_RECORDS or size >= PAGE_BYTES:
                return RecordedAnswer(self._name, calls=page, position=call.number + 1)
            facts = self._facts(call)
            page.append(facts)
            read += call.records_count
            size += len(msgspec.json.encode(facts))
        return RecordedAnswer(self._name, calls=page)

    def _facts(self, call: _Call) -> CallFacts:
        return facts_of(self._shown(call, record) for record in call.records())

    def _records_page(self, query: RecordedQuery) -> RecordedAnswer:
        """Return records of one call, from the position that the query names."""
        call = self._calls.get(query.dialog_id)
        page: list[TapRecord] = []
        size = 0
        for record in self._from(call, query.position) if call is not None else ():
            if size >= PAGE_BYTES or len(page) >= PAGE_RECORDS:
                position = query.position + len(page)
                return RecordedAnswer(self._name, records=page, position=position)
            page.append(record)
            size += len(bytes(record.message)) + RECORD_BYTES
        return RecordedAnswer(self._name, records=page)

    def _from(self, call: _Call, position: int) -> Iterator[TapRecord]:
        half = MAX_CALL_RECORDS // 2
        for index, record in enumerate(call.records(position), position):
            if index == half and call.left_out:
                yield _skipped(call, record[1], call.left_out)
            else:
                yield self._shown(call, record)

    def _shown(self, call: _Call, kept: _Kept) -> TapRecord:
        kind, at, message = kept
        if len(message) > PAGE_BYTES:
            return _skipped(call, at, 1)
        shown = msgspec.Raw(self._masking.masked(message))
        return TapRecord(kind, at, self._server, call.dialog_id, shown)


def _size(fields: Sequence[Any]) -> int:
    messages = fields[_FIELDS - 1 :: _FIELDS]
    return sum(map(len, messages)) + RECORD_BYTES * len(messages)


def _skipped(call: _Call, at: float, count: int) -> TapRecord:
    message = msgspec.Raw(b'{"count":%d}' % count)
    return TapRecord("skipped", at, "", call.dialog_id, message)
