"""The records of one call, as the flight recorder keeps them. Sans-I/O."""

from collections.abc import Iterator, Sequence
from typing import Any, Final, NamedTuple

from .records import Kind

#: Records of one call; of more those in the middle are left out, a quarter at a time.
MAX_CALL_RECORDS: Final = 2_000
#: What Python needs for a record and for a call, besides its message; bytes.
RECORD_BYTES: Final = 90
CALL_BYTES: Final = 700

_HALF: Final = MAX_CALL_RECORDS // 2
_QUARTER: Final = MAX_CALL_RECORDS // 4
_FIELDS: Final = 3
#: Length of the list of a call that is to be shortened.
MAX_CALL_FIELDS: Final = MAX_CALL_RECORDS * _FIELDS


class KeptRecord(NamedTuple):
    """One record of a call."""

    number: int  #: in its call, from 0; it stays when records before it are left out
    kind: Kind
    at: float  #: Unix seconds
    message: bytes


class CallRecords(list[Any]):
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
    def size(self) -> int:
        """Bytes that it takes."""
        return CALL_BYTES + _size(self)

    def shorten(self) -> int:
        """Leave out records from the middle: how a call began and ended says the most.

        Returns:
            The bytes that they took.
        """
        middle = slice(_HALF * _FIELDS, (_HALF + _QUARTER) * _FIELDS)
        dropped = _size(self[middle])
        del self[middle]
        self.left_out += _QUARTER
        return dropped

    def since(self, number: int) -> Iterator[KeptRecord]:
        """Yield its records from a number on; one of kind `skipped` stands for those left out."""
        kept = len(self) // _FIELDS
        behind = _HALF + self.left_out
        yield from self._numbered(number, min(_HALF, kept), 0)
        if number < behind and self.left_out:
            first = max(number, _HALF)
            at = self[_HALF * _FIELDS + 1]
            yield KeptRecord(first, "skipped", at, skipped(behind - first, "the call has too many"))
        yield from self._numbered(max(number, behind), kept + self.left_out, self.left_out)

    def _numbered(self, first: int, end: int, moved_up: int) -> Iterator[KeptRecord]:
        for number in range(first, end):
            index = (number - moved_up) * _FIELDS
            yield KeptRecord(number, *self[index : index + _FIELDS])


def skipped(count: int, reason: str) -> bytes:
    """Return the message of a record that stands for others, with why they are not shown."""
    return b'{"count":%d,"reason":"%b"}' % (count, reason.encode())


def _size(fields: Sequence[Any]) -> int:
    messages = fields[_FIELDS - 1 :: _FIELDS]
    return sum(map(len, messages)) + RECORD_BYTES * len(messages)
