"""Events that are held until a dialog's application listens: in order and bounded. Sans-I/O."""

from collections import deque
from collections.abc import Iterator


class HeldEvents:
    """The events of one dialog, the oldest first."""

    __slots__ = ("_bytes", "_events", "_returned")

    def __init__(self) -> None:
        self._events: deque[bytes] = deque()
        self._bytes = 0
        #: The numbers of the first ones, which the bus has given back.
        self._returned: list[int] = []

    def __len__(self) -> int:
        return len(self._events)

    def __iter__(self) -> Iterator[bytes]:
        return iter(self._events)

    @property
    def first(self) -> bytes:
        """The oldest one, which is sent as the probe for a listener.

        Raises:
            IndexError: no event is held.
        """
        return self._events[0]

    def append(self, event: bytes) -> None:
        """Add an event behind all others."""
        self._events.append(event)
        self._bytes += len(event)

    def prepend(self, event: bytes) -> None:
        """Add an event before all others."""
        self._events.appendleft(event)
        self._bytes += len(event)

    def put_back(self, event: bytes, number: int) -> None:
        """Add an event that the bus gives back, behind earlier such ones, before all others."""
        self._events.insert(len(self._returned), event)
        self._returned.append(number)
        self._bytes += len(event)

    def settle(self, last: int) -> list[bytes]:
        """Remove the events given back that precede one that was heard, and return them.

        Args:
            last: number of the last event that the bus got.
        """
        numbers, self._returned = self._returned, []
        while numbers and numbers[-1] == last:
            numbers.pop()
            last -= 1
        return [self.remove_first() for _ in numbers]

    def trim(self, limit: int) -> list[bytes]:
        """Remove the oldest events until the rest has at most `limit` bytes; return them.

        The first one stays: it may be on its way as the probe.
        """
        removed = []
        while self._bytes > limit and len(self._events) > 1:
            event = self._events[1]
            del self._events[1]
            del self._returned[1:2]
            self._bytes -= len(event)
            removed.append(event)
        return removed

    def remove_first(self) -> bytes:
        """Remove the oldest one; return it.

        Raises:
            IndexError: no event is held.
        """
        event = self._events.popleft()
        del self._returned[:1]
        self._bytes -= len(event)
        return event

    def clear(self) -> tuple[bytes, ...]:
        """Remove all of them; return them."""
        removed = tuple(self._events)
        self._events.clear()
        self._returned.clear()
        self._bytes = 0
        return removed
