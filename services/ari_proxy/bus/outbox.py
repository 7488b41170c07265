"""The bounded buffer of published messages. Sans-I/O.

A message is *waiting*, then *sent*, and removed when the bus has confirmed it. It may be *held* for
a listener in between. After a lost connection the sent messages are waiting again, in front, except
those published with *once*. The bound is in bytes: events differ by a factor of thirty in size.
"""

from collections import deque
from collections.abc import Iterator
from itertools import chain
from typing import Final, NamedTuple

from .base import DropReason, OnDropped, TopicFilter

#: Python's own cost of a buffered message: the tuple, the topic and the deque's slot.
OVERHEAD_BYTES: Final = 200


class Outgoing(NamedTuple):
    """One message to publish."""

    topic: str
    payload: bytes
    reply: str
    #: Rather lose it than send it twice.
    once: bool
    #: Trace context, or ''.
    traceparent: str
    #: Of all messages ever appended, from 1.
    number: int


class Outbox:
    """Keeps messages in order until they are confirmed; drops the oldest waiting ones when full."""

    def __init__(self, capacity_bytes: int, on_dropped: OnDropped = lambda *_: None) -> None:
        """Make an empty outbox.

        Args:
            capacity_bytes: the bound of what it holds.
            on_dropped: called for each lost message.
        """
        self._capacity = capacity_bytes
        self._on_dropped = on_dropped
        self._waiting: deque[Outgoing] = deque()
        self._sent: deque[Outgoing] = deque()
        self._sent_before = 0
        self._held: dict[str, deque[Outgoing]] = {}
        #: How many messages were ever appended.
        self.appended = 0
        #: How many were ever confirmed, and not lost in spite of that.
        self.confirmed = 0
        self.size_bytes = 0
        self.dropped = 0

    def __len__(self) -> int:
        held = sum(map(len, self._held.values())) if self._held else 0
        return len(self._waiting) + len(self._sent) + held

    @property
    def is_waiting(self) -> bool:
        """True if there is something to send."""
        return bool(self._waiting)

    def append(
        self,
        topic: str,
        payload: bytes,
        reply: str = "",
        once: bool = False,  # noqa: FBT001, FBT002  as `Bus.publish`; by position, for its speed
        traceparent: str = "",
    ) -> None:
        """Add a message; if there is no room, drop the oldest that were not sent."""
        self.appended = number = self.appended + 1
        self._waiting.append(Outgoing(topic, payload, reply, once, traceparent, number))
        self.size_bytes += len(payload) + OVERHEAD_BYTES
        while self.size_bytes > self._capacity and (self._held or self._waiting):
            self._drop(self._pop_held() if self._held else self._waiting.popleft(), "full")

    def _pop_held(self) -> Outgoing:
        topic, messages = next(iter(self._held.items()))
        message = messages.popleft()
        if not messages:
            del self._held[topic]
        return message

    def next(self) -> Outgoing:
        """Return the next message to send; it counts as sent from then on."""
        message = self._waiting.popleft()
        self._sent.append(message)
        return message

    def refuse_last(self) -> None:
        """Drop the message that `next` returned last: the bus will never accept it."""
        self._drop(self._sent.pop(), "refused")

    def deny(self, is_it: TopicFilter) -> str:
        """Count the first unconfirmed message on a topic as lost: the server has refused it.

        Args:
            is_it: tells whether a topic is the refused one.

        Returns:
            The topic, or '' if there is no such message.
        """
        for message in self._sent:
            if is_it(message.topic):
                self.lose(message.topic, message.payload, "refused")
                return message.topic
        return ""

    def reject(self, count: int) -> None:
        """Count as lost the last of the first `count` messages ever sent.

        The server has not stored it, and will not confirm it separately.
        """
        message = self._sent[count - 1 - self._sent_before]
        self.lose(message.topic, message.payload, "rejected")

    def sent(self, number: int) -> Outgoing | None:
        """Return a message by its number if it was sent and is not confirmed."""
        if not self._sent:
            return None
        index = number - self._sent[0].number  # As long as none was held or refused.
        if 0 <= index < len(self._sent) and self._sent[index].number == number:
            return self._sent[index]
        return next((message for message in self._sent if message.number == number), None)

    def lose(self, topic: str, payload: bytes, reason: DropReason) -> None:
        """Count as lost a sent message that the server will confirm in spite of that."""
        self.confirmed -= 1
        self.dropped += 1
        self._on_dropped(topic, payload, reason)

    def count_lost(self, count: int) -> None:
        """Count messages that were sent without a listener."""
        self.dropped += count

    @property
    def held_topics(self) -> tuple[str, ...]:
        """The topics of held messages."""
        return tuple(self._held)

    def hold_last(self) -> None:
        """Hold the message that `next` returned last, instead of sending it."""
        message = self._sent.pop()
        self._held.setdefault(message.topic, deque()).append(message)

    def first_held(self, topic: str) -> Outgoing | None:
        """Return the oldest held message of a topic."""
        messages = self._held.get(topic)
        return messages[0] if messages else None

    def deliver_held(self, message: Outgoing) -> None:
        """Confirm a held message that was delivered as a probe, if it is still held."""
        messages = self._held.get(message.topic)
        if not messages or messages[0] is not message:
            return
        self._remove(messages.popleft())
        self.confirmed += 1
        if not messages:
            del self._held[message.topic]

    def release_held(self, topic: str) -> list[Outgoing]:
        """Return the held messages of a topic; they count as sent from then on."""
        messages = list(self._held.pop(topic, ()))
        self._sent.extend(messages)
        return messages

    def _left(self, number: int) -> Iterator[Outgoing]:
        """Yield the messages up to a number that are neither confirmed nor lost."""
        # The order in which the first one is found soonest.
        messages = chain(*self._held.values(), self._sent, self._waiting)
        return (message for message in messages if message.number <= number)

    def is_settled(self, number: int) -> bool:
        """Return whether all messages up to a number are confirmed or lost."""
        return next(self._left(number), None) is None

    def count_left(self, number: int) -> int:
        """Return how many messages up to a number are neither confirmed nor lost."""
        return sum(1 for _ in self._left(number))

    @property
    def sent_count(self) -> int:
        """How many messages were ever sent, leaving out held ones."""
        return self._sent_before + len(self._sent)

    def confirm(self, count: int) -> None:
        """Remove the first `count` messages ever sent; the server has confirmed them."""
        number = max(min(count - self._sent_before, len(self._sent)), 0)
        for _ in range(number):
            self.size_bytes -= len(self._sent.popleft().payload) + OVERHEAD_BYTES
        self._sent_before += number
        self.confirmed += number

    def rewind(self) -> None:
        """Make unconfirmed messages wait again, in front and in order; the connection is lost."""
        for messages in reversed(self._held.values()):
            self._waiting.extendleft(reversed(messages))
        self._held.clear()
        self._sent_before += len(self._sent)  # No confirmation of then counts any more.
        for message in reversed(self._sent):
            if message.once:
                self._drop(message, "connection_lost")
            else:
                self._waiting.appendleft(message)
        self._sent.clear()

    def discard(self, is_unwanted: TopicFilter) -> int:
        """Drop the waiting messages on unwanted topics; return how many."""
        kept: deque[Outgoing] = deque()
        for topic in filter(is_unwanted, tuple(self._held)):
            self._waiting.extend(self._held.pop(topic))
        before = len(self._waiting)
        for message in self._waiting:
            if is_unwanted(message.topic):
                self._drop(message, "discarded")
            else:
                kept.append(message)
        self._waiting = kept
        return before - len(kept)

    def _drop(self, message: Outgoing, reason: DropReason) -> None:
        self._remove(message)
        self.dropped += 1
        self._on_dropped(message.topic, message.payload, reason)

    def _remove(self, message: Outgoing) -> None:
        self.size_bytes -= len(message.payload) + OVERHEAD_BYTES
