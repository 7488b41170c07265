"""Queues in memory as RabbitMQ has them: what waits, who consumes, what is not acknowledged yet."""

import asyncio
import itertools
from collections import deque
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from typing import Final

from ari_proxy.bus.base import Message
from ari_proxy.protocol import topics

_NEVER: Final = float("inf")


@dataclass(slots=True, frozen=True)
class _Entry:
    """A message in a queue."""

    #: Its place: what comes back goes to where it was.
    number: int
    message: Message
    #: Loop time.
    expires_at: float


class Consumer:
    """Takes the messages of a queue.

    A queue hands all of them to the consumer with the highest priority; equals take turns.
    """

    def __init__(
        self,
        handle: Callable[[Message], None],
        *,
        hold: bool,
        priority: int = 0,
        on_cancelled: Callable[[], None] = lambda: None,
    ) -> None:
        self._handle = handle
        self._hold = hold
        self.priority = priority
        #: Called when its queue is deleted.
        self.on_cancelled = on_cancelled
        self._held: dict[int, _Entry] = {}
        self._is_lost = False

    def deliver(self, entry: _Entry) -> None:
        """Hand over a message."""
        message = entry.message
        if self._hold:
            self._held[entry.number] = entry
            message = message._replace(take=lambda: self._take(entry))
        self._handle(message)

    @property
    def holds_any(self) -> bool:
        """True if it has messages that were not acknowledged."""
        return bool(self._held)

    def _take(self, entry: _Entry) -> Awaitable[bool]:
        """Acknowledge a message; the result is False if the queue has it back."""
        self._held.pop(entry.number, None)
        taking = asyncio.get_running_loop().create_future()
        taking.set_result(not self._is_lost)
        return taking

    def lose(self) -> list[_Entry]:
        """End with the connection; return what was not acknowledged."""
        self._is_lost = True
        held = list(self._held.values())
        self._held.clear()
        return held


@dataclass(slots=True)
class _Queue:
    waiting: deque[_Entry] = field(default_factory=deque)
    consumers: list[Consumer] = field(default_factory=list)
    numbers: "itertools.count[int]" = field(default_factory=itertools.count)
    turns: "itertools.count[int]" = field(default_factory=itertools.count)

    def hand_out(self) -> None:
        """Give what waits to whoever is to have it."""
        while self.consumers and self.is_waiting():
            highest = max(consumer.priority for consumer in self.consumers)
            equals = [one for one in self.consumers if one.priority == highest]
            equals[next(self.turns) % len(equals)].deliver(self.waiting.popleft())

    def is_waiting(self) -> bool:
        """Return whether there is something to give."""
        self.expire()
        return bool(self.waiting)

    def expire(self) -> None:
        """Drop what is too old, at the head: behind a younger message RabbitMQ keeps it, too."""
        now = asyncio.get_running_loop().time()
        while self.waiting and self.waiting[0].expires_at <= now:
            self.waiting.popleft()


class MemoryQueues:
    """All queues of a broker."""

    def __init__(self) -> None:
        self._queues: dict[str, _Queue] = {}
        #: Called with each queue that is declared, until it is deleted: the patterns' listeners.
        self.on_declared: list[Callable[[str], None]] = []
        #: Those among the queues that were declared, not brought into being by a listener.
        self._declared: set[str] = set()

    def declare(self, name: str) -> None:
        """Bring a queue into being, and tell whoever listens to a pattern."""
        self.ensure(name)
        if name not in self._declared:
            self._declared.add(name)
            for tell in tuple(self.on_declared):
                tell(name)

    def ensure(self, name: str) -> None:
        """Bring a queue into being for one who listens to it."""
        self._queues.setdefault(name, _Queue())

    def delete(self, name: str) -> None:
        """End a queue, whatever it holds; its consumers are told."""
        self._declared.discard(name)
        queue = self._queues.pop(name, None)
        for consumer in queue.consumers if queue is not None else ():
            consumer.on_cancelled()

    def matching(self, pattern: str) -> list[str]:
        """Return the declared queues of a pattern."""
        return [name for name in self._declared if topics.matches(pattern, name)]

    def exists(self, name: str) -> bool:
        """Return whether there is such a queue."""
        return name in self._queues

    def consumers(self, name: str) -> int:
        """Return how many consume a queue."""
        queue = self._queues.get(name)
        return 0 if queue is None else len(queue.consumers)

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
        queue.hand_out()
        return True

    def consume(self, name: str, consumer: Consumer) -> None:
        """Have a consumer get a queue's messages; the queue exists."""
        queue = self._queues[name]
        queue.consumers.append(consumer)
        queue.hand_out()

    def cancel(self, name: str, consumer: Consumer) -> None:
        """Give a consumer no more; what it holds it may still acknowledge."""
        queue = self._queues.get(name)
        if queue is not None and consumer in queue.consumers:
            queue.consumers.remove(consumer)
            queue.hand_out()

    def lose(self, name: str, consumer: Consumer) -> None:
        """End a consumer with its connection: what it holds goes back, in order."""
        held = consumer.lose()
        queue = self._queues.get(name)
        if queue is None:
            return
        queue.waiting = deque(sorted([*held, *queue.waiting], key=lambda entry: entry.number))
        if consumer in queue.consumers:
            queue.consumers.remove(consumer)
        queue.hand_out()
