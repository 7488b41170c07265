"""The registry of durable queues in memory: which connection declared what with which note."""

import asyncio
from collections import deque
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator

import msgspec

from ari_proxy.bus.base import Message
from ari_proxy.bus.durable import DeclaredQueues

from .queues import MemoryConsumer, MemoryQueues


class MemoryRegistry(AsyncIterator[DeclaredQueues]):
    """The records of one connection; iterates over those that ended connections have left.

    The records are messages of a queue. One connection at a time consumes it, and acknowledges a
    record only when its queues are deleted. When that connection ends the next one gets them.
    """

    def __init__(self, queues: MemoryQueues, name: str, numbers: Iterator[int]) -> None:
        self._queues = queues
        self._name = name
        self._numbers = numbers
        self._remembered: dict[tuple[str, ...], str] = {}
        self._held: dict[tuple[str, ...], list[Callable[[], Awaitable[bool]]]] = {}
        self._orphans: deque[DeclaredQueues] = deque()
        self._has_orphans = asyncio.Event()
        self._is_wanted = False
        self._is_connected = False
        self._consumer: MemoryConsumer | None = None

    def connect(self) -> None:
        """Consume the records on a new connection, if they are wanted."""
        self._is_connected = True
        self._begin()

    def disconnect(self) -> None:
        """Lose the records to the next connection."""
        self._is_connected = False
        self._lose()

    def acquire(self) -> None:
        """Consume the records from now on, as soon as no earlier connection does."""
        self._is_wanted = True
        if self._is_connected:
            self._begin()

    def _begin(self) -> None:
        if self._name and self._is_wanted and self._consumer is None:
            priority = -next(self._numbers)
            self._consumer = MemoryConsumer(self._add, manual_ack=True, priority=priority)
            self._queues.ensure(self._name)
            self._queues.consume(self._name, self._consumer)

    def _lose(self) -> None:
        consumer, self._consumer = self._consumer, None
        self._held.clear()
        if consumer is not None:
            self._queues.lose(self._name, consumer)

    def remember(self, declared: DeclaredQueues) -> None:
        """Record queues."""
        if self._name:
            self.acquire()
            self._remembered[declared.topics] = declared.note
            self._queues.put(Message(self._name, msgspec.json.encode(declared)))

    def has(self, names: tuple[str, ...]) -> bool:
        """Return whether queues are recorded as this connection's."""
        return names in self._remembered

    def forget(self, names: tuple[str, ...]) -> None:
        """Remove the record of deleted queues."""
        self._remembered.pop(names, None)
        for ack in self._held.pop(names, ()):
            ack()

    def release(self) -> None:
        """Leave the records to the next connection, and forget them here."""
        self._is_wanted = False
        self._lose()
        self._remembered.clear()
        self._orphans.clear()

    def _add(self, message: Message) -> None:
        declared = msgspec.json.decode(message.payload, type=DeclaredQueues)
        self._held.setdefault(declared.topics, []).append(message.ack)
        if declared.topics not in self._remembered:
            self._remembered[declared.topics] = declared.note
            self._orphans.append(declared)
            self._has_orphans.set()

    async def __anext__(self) -> DeclaredQueues:
        if not self._name:
            raise StopAsyncIteration
        while not self._orphans:
            self._has_orphans.clear()
            await self._has_orphans.wait()
        return self._orphans.popleft()
