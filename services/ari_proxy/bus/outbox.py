"""The bounded buffer between those who publish and the connection.

A message is *waiting*, then *sent*, and forgotten when the bus has confirmed it. After a lost
connection what was sent is waiting again, in front, unless it is to be sent *once*. The bound is in
bytes: events differ by a factor of thirty in size.
"""

from collections import deque
from collections.abc import Callable
from dataclasses import dataclass
from typing import Final, NamedTuple

from .base import DropReason, OnDropped

#: Python's own cost of a buffered message: the tuple, the topic and the deque's slot.
OVERHEAD_BYTES: Final = 200


class Batch:
    """What was appended between two flushes; `left` says how much is neither confirmed nor lost."""

    __slots__ = ("left",)

    def __init__(self) -> None:
        self.left = 0


class Outgoing(NamedTuple):
    """One message to publish."""

    topic: str
    payload: bytes
    reply: str
    #: Better lost than sent twice.
    once: bool
    #: The header of that name, or ''.
    traceparent: str
    batch: Batch


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
        self._parked: dict[str, deque[Outgoing]] = {}
        self._batch = Batch()
        #: Those that came before, as far as something is left of them.
        self._sealed: list[Batch] = []
        #: Of the sent ones: confirmed alone, before others that were sent earlier.
        self._delivered = 0
        #: … confirmed, and yet not taken by the server.
        self._denied = 0
        self.size_bytes = 0
        self.dropped = 0
        self.on_dropped: OnDropped = lambda *_: None

    def __len__(self) -> int:
        parked = sum(map(len, self._parked.values())) if self._parked else 0
        return len(self._waiting) + len(self._sent) + parked

    @property
    def confirmed(self) -> int:
        """How many messages were ever confirmed."""
        return self._sent_before + self._delivered - self._denied

    @property
    def is_waiting(self) -> bool:
        """True if there is something to send."""
        return bool(self._waiting)

    @property
    def is_unconfirmed(self) -> bool:
        """True if something was sent and not confirmed."""
        return bool(self._sent)

    def append(
        self,
        topic: str,
        payload: bytes,
        reply: str = "",
        once: bool = False,  # noqa: FBT001, FBT002  as `Bus.publish`; by position, for its speed
        traceparent: str = "",
    ) -> None:
        """Take a message; if there is no room, the oldest that were not sent go."""
        batch = self._batch
        batch.left += 1
        self._waiting.append(Outgoing(topic, payload, reply, once, traceparent, batch))
        self.size_bytes += len(payload) + OVERHEAD_BYTES
        while self.size_bytes > self._capacity and (self._parked or self._waiting):
            self._drop(self._pop_parked() if self._parked else self._waiting.popleft(), "full")

    def _pop_parked(self) -> Outgoing:
        topic, messages = next(iter(self._parked.items()))
        message = messages.popleft()
        if not messages:
            del self._parked[topic]
        return message

    def next(self) -> Outgoing:
        """Return the next message to send; it counts as sent from now on."""
        message = self._waiting.popleft()
        self._sent.append(message)
        return message

    def refuse_last(self) -> None:
        """Forget the message that was sent last: the bus will never take it."""
        self._drop(self._sent.pop(), "refused")

    def deny(self, is_it: Callable[[str], bool]) -> str:
        """Count a sent message as lost, since the server does not take it from us.

        Args:
            is_it: returns of a topic whether the message was on it.

        Returns:
            The topic, or '' if it is none of those that are not confirmed.
        """
        for message in self._sent:
            if is_it(message.topic):
                self.lose(message.topic, message.payload, "refused")
                return message.topic
        return ""

    def reject(self, count: int) -> None:
        """Count as lost the last one of the first `count` messages that were ever sent.

        It is not confirmed yet, and was not kept by the server.
        """
        message = self._sent[count - 1 - self._sent_before]
        self.lose(message.topic, message.payload, "rejected")

    def lose(self, topic: str, payload: bytes, reason: DropReason) -> None:
        """Count as lost a sent message that the server will confirm all the same."""
        self._denied += 1
        self.dropped += 1
        self.on_dropped(topic, payload, reason)

    @property
    def parked_topics(self) -> tuple[str, ...]:
        """The topics that wait for a listener."""
        return tuple(self._parked)

    def park_last(self) -> None:
        """Have the message that `next` returned wait for a listener, instead of sending it."""
        message = self._sent.pop()
        self._parked.setdefault(message.topic, deque()).append(message)

    def first_parked(self, topic: str) -> Outgoing | None:
        """Return the oldest message that waits for a listener of a topic."""
        messages = self._parked.get(topic)
        return messages[0] if messages else None

    def deliver_parked(self, message: Outgoing) -> None:
        """Forget a message that waited for a listener, if it still does: one has it."""
        messages = self._parked.get(message.topic)
        if not messages or messages[0] is not message:
            return
        self._forget(messages.popleft())
        self._delivered += 1
        if not messages:
            del self._parked[message.topic]

    def unpark(self, topic: str) -> list[Outgoing]:
        """Return the messages that have waited for a listener; they count as sent from now on."""
        messages = list(self._parked.pop(topic, ()))
        self._sent.extend(messages)
        return messages

    def seal(self) -> list[Batch]:
        """Return what tells how much is left of all that was appended until now."""
        self._sealed = [batch for batch in (*self._sealed, self._batch) if batch.left]
        self._batch = Batch()
        return self._sealed

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
        for messages in reversed(self._parked.values()):
            self._waiting.extendleft(reversed(messages))
        self._parked.clear()
        for message in reversed(self._sent):
            if message.once:
                self._drop(message, "connection_lost")
            else:
                self._waiting.appendleft(message)
        self._sent.clear()

    def discard(self, is_unwanted: Callable[[str], bool]) -> int:
        """Forget the waiting messages of some topics; return how many."""
        kept: deque[Outgoing] = deque()
        for topic in filter(is_unwanted, tuple(self._parked)):
            self._waiting.extend(self._parked.pop(topic))
        before = len(self._waiting)
        for message in self._waiting:
            if is_unwanted(message.topic):
                self._drop(message, "discarded")
            else:
                kept.append(message)
        self._waiting = kept
        return before - len(kept)

    def _drop(self, message: Outgoing, reason: DropReason) -> None:
        self._forget(message)
        self.dropped += 1
        self.on_dropped(message.topic, message.payload, reason)

    def _forget(self, message: Outgoing) -> None:
        self.size_bytes -= len(message.payload) + OVERHEAD_BYTES
        message.batch.left -= 1
