"""Events that are held until a dialog's application listens: in order and bounded. Sans-I/O."""

from collections import deque
from collections.abc import Iterator


class HeldEvents:
    """The events of one dialog, the oldest first."""

    __slots__ = ("_bytes", "_events")

    def __init__(self) -> None:
        self._events: deque[bytes] = deque()
        self._bytes = 0

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

    def trim(self, limit: int) -> list[bytes]:
        """Remove the oldest events until the rest has at most `limit` bytes; return them.

        The first one stays: it may be on its way as the probe.
        """
        removed = []
        while self._bytes > limit and len(self._events) > 1:
            event = self._events[1]
            del self._events[1]
            self._bytes -= len(event)
            removed.append(event)
        return removed

    def remove_first(self) -> bytes:
        """Remove the oldest one; return it.

        Raises:
            IndexError: no event is held.
        """
        event = self._events.popleft()
        self._bytes -= len(event)
        return event

    def clear(self) -> tuple[bytes, ...]:
        """Remove all of them; return them."""
        removed = tuple(self._events)
        self._events.clear()
        self._bytes = 0
        return removed
