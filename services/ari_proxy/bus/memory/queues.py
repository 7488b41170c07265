"""RabbitMQ's queues in memory: waiting messages, consumers, unacknowledged messages."""

import asyncio
import itertools
from collections import deque
from collections.abc import Awaitable, Callable, Iterable
from dataclasses import dataclass, field
from typing import Final

from ari_proxy.bus.base import Handler, Message
from ari_proxy.protocol import topics

_NEVER: Final = float("inf")


@dataclass(slots=True, frozen=True)
class _Entry:
    """A message in a queue."""

    #: Its position, to which it returns when it is requeued.
    number: int
    message: Message
    #: In the loop's time.
    expires_at: float


class MemoryConsumer:
    """A consumer of a queue.

    A queue delivers to the consumer with the highest priority; equals take turns.
    """

    def __init__(
        self,
        handler: Handler,
        *,
        manual_ack: bool,
        priority: int = 0,
        on_cancelled: Callable[[], None] = lambda: None,
    ) -> None:
        self._handler = handler
        self._manual_ack = manual_ack
        self.priority = priority
        #: Called when its queue is deleted.
        self.on_cancelled = on_cancelled
        self._unacked: dict[int, _Entry] = {}
        self._is_lost = False

    def deliver(self, entry: _Entry, requeue: Callable[[_Entry], None]) -> None:
        """Deliver a message to the handler, who may have it requeued."""
        message = entry.message
        if self._manual_ack:
            self._unacked[entry.number] = entry
            message = message._replace(
                ack=lambda: self._ack(entry), give_back=lambda: self._give_back(entry, requeue)
            )
        self._handler(message)

    @property
    def has_unacked(self) -> bool:
        """True if there are unacknowledged messages."""
        return bool(self._unacked)

    def _ack(self, entry: _Entry) -> Awaitable[bool]:
        """Acknowledge a message; the result is False if it was requeued."""
        self._unacked.pop(entry.number, None)
        acked = asyncio.get_running_loop().create_future()
        acked.set_result(not self._is_lost)
        return acked

    def _give_back(self, entry: _Entry, requeue: Callable[[_Entry], None]) -> bool:
        if self._unacked.pop(entry.number, None) is None:
            return False
        requeue(entry)
        return True

    def lose(self) -> list[_Entry]:
        """End with the connection; return the unacknowledged messages."""
        self._is_lost = True
        unacked = list(self._unacked.values())
        self._unacked.clear()
        return unacked


@dataclass(slots=True)
class _Queue:
    waiting: deque[_Entry] = field(default_factory=deque)
    consumers: list[MemoryConsumer] = field(default_factory=list)
    numbers: "itertools.count[int]" = field(default_factory=itertools.count)
    turns: "itertools.count[int]" = field(default_factory=itertools.count)

    def deliver_waiting(self) -> None:
        """Deliver the waiting messages, if there is a consumer."""
        while self.consumers and self.is_waiting():
            highest = max(consumer.priority for consumer in self.consumers)
            equals = [one for one in self.consumers if one.priority == highest]
            chosen = equals[next(self.turns) % len(equals)]
            chosen.deliver(self.waiting.popleft(), self._take_back)

    def _take_back(self, entry: _Entry) -> None:
        self.requeue([entry])
        self.deliver_waiting()

    def requeue(self, entries: Iterable[_Entry]) -> None:
        """Put delivered messages back where they were."""
        entries = sorted([*entries, *self.waiting], key=lambda entry: entry.number)
        self.waiting = deque(entries)

    def is_waiting(self) -> bool:
        """Return whether a message waits that has not expired."""
        self.expire()
        return bool(self.waiting)

    def expire(self) -> None:
        """Drop expired messages at the head, the only place where RabbitMQ drops them, too."""
        now = asyncio.get_running_loop().time()
        while self.waiting and self.waiting[0].expires_at <= now:
            self.waiting.popleft()


class MemoryQueues:
    """All queues of a broker."""

    def __init__(self) -> None:
        self._queues: dict[str, _Queue] = {}
        #: Called with the name of each newly declared queue: listeners to patterns.
        self.on_declared: list[Callable[[str], None]] = []
        #: Queues that were declared, as opposed to created by a listener.
        self._declared: set[str] = set()

    def declare(self, name: str) -> None:
        """Create a queue and notify the listeners to patterns."""
        self.ensure(name)
        if name not in self._declared:
            self._declared.add(name)
            for notify in tuple(self.on_declared):
                notify(name)

    def ensure(self, name: str) -> None:
        """Create a queue for its listener, unless it exists."""
        self._queues.setdefault(name, _Queue())

    def delete(self, name: str) -> None:
        """Delete a queue with all its messages, and notify its consumers."""
        self._declared.discard(name)
        queue = self._queues.pop(name, None)
        for consumer in queue.consumers if queue is not None else ():
            consumer.on_cancelled()

    def matching(self, pattern: str) -> list[str]:
        """Return the declared queues of a pattern."""
        return [name for name in self._declared if topics.matches(pattern, name)]

    def exists(self, name: str) -> bool:
        """Return whether a queue exists."""
        return name in self._queues

    def consumers(self, name: str) -> int:
        """Return how many consumers a queue has."""
        queue = self._queues.get(name)
        return 0 if queue is None else len(queue.consumers)

    def is_served(self, topic: str) -> bool:
        """Return whether a queue has a consumer; True for a topic that is no queue."""
        return not topics.is_queue(topic) or bool(self.consumers(topic))

    def waiting(self, name: str) -> int:
        """Return how many messages wait on a queue."""
        queue = self._queues.get(name)
        if queue is None:
            return 0
        queue.expire()
        return len(queue.waiting)

    def put(self, message: Message, *, keep_seconds: float | None = None) -> bool:
        """Put a message on its queue; return False if there is none."""
        queue = self._queues.get(message.topic)
        if queue is None:
            return False
        now = asyncio.get_running_loop().time()
        expires_at = _NEVER if keep_seconds is None else now + keep_seconds
        queue.waiting.append(_Entry(next(queue.numbers), message, expires_at))
        queue.deliver_waiting()
        return True

    def consume(self, name: str, consumer: MemoryConsumer) -> None:
        """Add a consumer to an existing queue."""
        queue = self._queues[name]
        queue.consumers.append(consumer)
        queue.deliver_waiting()

    def cancel(self, name: str, consumer: MemoryConsumer) -> None:
        """Deliver no more to a consumer; it may still acknowledge."""
        queue = self._queues.get(name)
        if queue is not None and consumer in queue.consumers:
            queue.consumers.remove(consumer)
            queue.deliver_waiting()

    def lose(self, name: str, consumer: MemoryConsumer) -> None:
        """End a consumer with its connection; its unacknowledged messages are requeued in order."""
        unacked = consumer.lose()
        queue = self._queues.get(name)
        if queue is None:
            return
        queue.requeue(unacked)
        if consumer in queue.consumers:
            queue.consumers.remove(consumer)
        queue.deliver_waiting()
