"""The bounded buffer between those who publish and the connection.

A message is *waiting*, then *sent*, and forgotten when the bus has confirmed it. After a lost
connection what was sent is waiting again, in front. The bound is in bytes: events differ by a
factor of thirty in size.
"""

from collections import deque
from collections.abc import Callable
from dataclasses import dataclass
from typing import Final, NamedTuple

#: Python's own cost of a buffered message: the tuple, the topic and the deque's slot.
OVERHEAD_BYTES: Final = 200


class Outgoing(NamedTuple):
    """One message to publish."""

    topic: str
    payload: bytes
    reply: str


@dataclass(frozen=True, slots=True)
class Mark:
    """How many messages were sent at some time."""

    count: int


class Outbox:
    """Keeps messages in order until they are confirmed; drops the oldest waiting ones when full."""

    def __init__(self, capacity_bytes: int) -> None:
        self._capacity = capacity_bytes
        self._waiting: deque[Outgoing] = deque()
        self._sent: deque[Outgoing] = deque()
        self._sent_before = 0
        self.size_bytes = 0
        self.dropped = 0

    def __len__(self) -> int:
        return len(self._waiting) + len(self._sent)

    @property
    def is_waiting(self) -> bool:
        """True if there is something to send."""
        return bool(self._waiting)

    @property
    def is_unconfirmed(self) -> bool:
        """True if something was sent and not confirmed."""
        return bool(self._sent)

    def append(self, message: Outgoing) -> None:
        """Take a message; if there is no room, the oldest waiting ones go."""
        self._waiting.append(message)
        self.size_bytes += len(message.payload) + OVERHEAD_BYTES
        while self.size_bytes > self._capacity and self._waiting:
            self._forget(self._waiting.popleft())
            self.dropped += 1

    def next(self) -> Outgoing:
        """Return the next message to send; it counts as sent from now on."""
        message = self._waiting.popleft()
        self._sent.append(message)
        return message

    def refuse_last(self) -> None:
        """Forget the message that was sent last: the bus will never take it."""
        self._forget(self._sent.pop())
        self.dropped += 1

    def mark(self) -> Mark:
        """Return a mark behind what was sent until now."""
        return Mark(self._sent_before + len(self._sent))

    def confirm(self, mark: Mark) -> None:
        """Forget what was sent before `mark`."""
        self.confirm_until(mark.count)

    def confirm_until(self, count: int) -> None:
        """Forget the first `count` messages that were ever sent."""
        while self._sent_before < count and self._sent:
            self._forget(self._sent.popleft())
            self._sent_before += 1

    def rewind(self) -> None:
        """Make what was sent and not confirmed wait again, in front and in order."""
        self._waiting.extendleft(reversed(self._sent))
        self._sent.clear()

    def discard(self, is_unwanted: Callable[[str], bool]) -> int:
        """Forget the waiting messages of some topics; return how many."""
        kept: deque[Outgoing] = deque()
        before = len(self._waiting)
        for message in self._waiting:
            if is_unwanted(message.topic):
                self._forget(message)
            else:
                kept.append(message)
        self._waiting = kept
        self.dropped += before - len(kept)
        return before - len(kept)

    def _forget(self, message: Outgoing) -> None:
        self.size_bytes -= len(message.payload) + OVERHEAD_BYTES
