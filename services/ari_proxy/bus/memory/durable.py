"""The bus in memory that keeps messages, like RabbitMQ: durable queues, and what was left behind.

For tests; `tests/contract` holds it to what RabbitMQ does. Topics that are queues for RabbitMQ
(`protocol/topics.is_queue`) are queues here, all others reach those who listen now.
"""

import asyncio
import hashlib
import itertools
from collections import deque
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from typing import Final

import msgspec

from ari_proxy.bus.base import Declared, Handler, Message, Offered, Subscription
from ari_proxy.protocol import topics

from .bus import MemoryBroker, MemoryConnection, TopicSubscription
from .queues import Consumer, MemoryQueues

#: Seconds after which a listener declares its queue again that somebody has deleted.
REDECLARE_SECONDS: Final = 0.1
#: Above all priorities of those who learn of a queue later than others.
_FIRST_COMER: Final = 1 << 32


class KeepingMemoryBroker(MemoryBroker):
    """Joins any number of `KeepingMemoryBus`; what its queues hold outlives connections."""

    def __init__(self) -> None:
        super().__init__()
        self.queues = MemoryQueues()
        #: Numbers its connections and their consumers, in the order of their coming.
        self.numbers = itertools.count(1)


class _Listening:
    """Consumes queues for as long as a connection lasts, and again with the next one."""

    def __init__(
        self, bus: "KeepingMemoryBus", topic: str, handler: Handler, *, hold: bool
    ) -> None:
        self.topic = topic
        self._bus = bus
        self._handler = handler
        self._hold = hold
        self._queues = bus.queues
        self._consumers: dict[str, Consumer] = {}
        self._inbox: deque[Message] = deque()
        self._is_ended = False

    def begin(self) -> None:
        """Begin to consume."""
        self._queues.ensure(self.topic)
        self._consume(self.topic)

    def _consume(self, queue: str, priority: int = 0) -> None:
        consumer = Consumer(
            self._take,
            hold=self._hold,
            priority=priority,
            on_cancelled=lambda: self._on_cancelled(queue),
        )
        self._consumers[queue] = consumer
        self._queues.consume(queue, consumer)

    def _on_cancelled(self, queue: str) -> None:
        """Take that a queue is gone: somebody listens to it, so it comes again."""
        del self._consumers[queue]

        def again() -> None:
            if not self._is_ended and self._bus.is_connected and not self._consumers:
                self.begin()

        asyncio.get_running_loop().call_later(REDECLARE_SECONDS, again)

    def _take(self, message: Message) -> None:
        self._inbox.append(message)
        asyncio.get_running_loop().call_soon(self._hand_over)

    def _hand_over(self) -> None:
        self._bus.hand_over(self._inbox.popleft(), self._handler)

    def lose(self) -> None:
        """End with the connection; what is not acknowledged goes back."""
        if self._is_ended:
            self._bus.forget(self)
        consumers, self._consumers = self._consumers, {}
        for queue, consumer in consumers.items():
            self._queues.lose(queue, consumer)

    async def unsubscribe(self) -> None:
        """End it; what it has taken is handled first."""
        self._is_ended = True
        for queue, consumer in self._consumers.items():
            self._queues.cancel(queue, consumer)
        if not any(consumer.holds_any for consumer in self._consumers.values()):
            self._bus.forget(self)
        await asyncio.sleep(0)


class _ListeningToPattern(_Listening):
    """Consumes all declared queues of a pattern; shares them with others that do."""

    def begin(self) -> None:
        """Begin to consume those that there are, behind who has them."""
        self._queues.on_declared.append(self._on_declared)
        for queue in self._queues.matching(self.topic):
            self._join(queue, is_first_comer=False)

    def _on_declared(self, queue: str) -> None:
        if topics.matches(self.topic, queue):
            self._join(queue, is_first_comer=True)

    def _join(self, queue: str, *, is_first_comer: bool) -> None:
        """Share queues evenly; a newcomer takes over from nobody."""
        digest = hashlib.blake2b(f"{self._bus.number} {queue}".encode(), digest_size=4).digest()
        own = int.from_bytes(digest, "big")
        self._consume(queue, own + _FIRST_COMER if is_first_comer else own)

    def _on_cancelled(self, queue: str) -> None:
        del self._consumers[queue]

    def lose(self) -> None:
        """End with the connection."""
        if self._on_declared in self._queues.on_declared:
            self._queues.on_declared.remove(self._on_declared)
        super().lose()

    async def unsubscribe(self) -> None:
        """End it; what it has taken is handled first."""
        if self._on_declared in self._queues.on_declared:
            self._queues.on_declared.remove(self._on_declared)
        await super().unsubscribe()


class _Registry(AsyncIterator[Declared]):
    """What one connection remembers of declared queues; iterates over what others have left.

    The records are messages of a queue that one connection at a time holds, and never acknowledges
    before the queues are deleted. When it ends the next one gets them.
    """

    def __init__(self, bus: "KeepingMemoryBus", name: str) -> None:
        self._bus = bus
        self._queues = bus.queues
        self._name = name
        self._remembered: dict[tuple[str, ...], str] = {}
        self._held: dict[tuple[str, ...], list[Callable[[], Awaitable[bool]]]] = {}
        self._left_behind: deque[Declared] = deque()
        self._something_left_behind = asyncio.Event()
        self._is_wanted = False
        self._consumer: Consumer | None = None

    def want(self) -> None:
        """Hold the records from now on, once nobody else does."""
        self._is_wanted = True
        if self._bus.is_connected:
            self.begin()

    def begin(self) -> None:
        """Come for the records, behind those who came before."""
        if self._name and self._is_wanted and self._consumer is None:
            priority = -next(self._bus.broker.numbers)
            self._consumer = Consumer(self._take, hold=True, priority=priority)
            self._queues.ensure(self._name)
            self._queues.consume(self._name, self._consumer)

    def lose(self) -> None:
        """Leave the records to the next one."""
        consumer, self._consumer = self._consumer, None
        self._held.clear()
        if consumer is not None:
            self._queues.lose(self._name, consumer)

    def remember(self, declared: Declared) -> None:
        """Have a record kept."""
        if self._name:
            self.want()
            self._remembered[declared.topics] = declared.note
            self._queues.put(Message(self._name, msgspec.json.encode(declared)))

    def forget(self, names: tuple[str, ...]) -> None:
        """Keep the record of deleted queues no more."""
        self._remembered.pop(names, None)
        for take in self._held.pop(names, ()):
            take()

    def disown(self) -> None:
        """Leave the records to the next one, and forget them."""
        self._is_wanted = False
        self.lose()
        self._remembered.clear()
        self._left_behind.clear()

    def _take(self, message: Message) -> None:
        declared = msgspec.json.decode(message.payload, type=Declared)
        self._held.setdefault(declared.topics, []).append(message.take)
        if declared.topics not in self._remembered:
            self._remembered[declared.topics] = declared.note
            self._left_behind.append(declared)
            self._something_left_behind.set()

    async def __anext__(self) -> Declared:
        if not self._name:
            raise StopAsyncIteration
        while not self._left_behind:
            self._something_left_behind.clear()
            await self._something_left_behind.wait()
        return self._left_behind.popleft()


class KeepingMemoryBus(MemoryConnection):
    """One connection to a `KeepingMemoryBroker`."""

    def __init__(
        self,
        broker: KeepingMemoryBroker,
        *,
        registry: str = "",
        buffer_bytes: int = 64 * 1024 * 1024,
    ) -> None:
        """Make one.

        Args:
            broker: joins it to others.
            registry: the queue that remembers what is declared with a note; '' to remember nothing.
            buffer_bytes: how much may wait to be sent.
        """
        super().__init__(broker, buffer_bytes=buffer_bytes)
        self.broker = broker
        self.queues = broker.queues
        self.number = next(broker.numbers)
        self._listening: set[_Listening] = set()
        self._registry = _Registry(self, registry)

    def _begin(self) -> None:
        for listening in tuple(self._listening):
            listening.begin()
        self._registry.begin()

    def _end(self) -> None:
        for listening in tuple(self._listening):
            listening.lose()
        self._registry.lose()

    def forget(self, listening: _Listening) -> None:
        """Begin it in no later connection."""
        self._listening.discard(listening)

    def _send_one(self, message: Message) -> None:
        if not self._deliver(message) and topics.is_queue(message.topic):
            self._outbox.lose(message.topic, message.payload, "returned")

    def _deliver(self, message: Message, *, keep_seconds: float | None = None) -> bool:
        if topics.is_queue(message.topic):
            return self.queues.put(message, keep_seconds=keep_seconds)
        return self._broker.deliver(message)

    def _may_be_heard(self, topic: str) -> bool:
        if topics.is_of_dialog(topic):
            return self.queues.exists(topic)  # An executor comes for each of them.
        return self._is_consumed(topic)

    def _is_consumed(self, topic: str) -> bool:
        """Return whether anybody consumes a queue; of another topic nobody can tell."""
        return not topics.is_queue(topic) or bool(self.queues.consumers(topic))

    async def offer(
        self,
        topic: str,
        payload: bytes,
        *,
        keep_seconds: float | None = None,
        traceparent: str = "",
    ) -> Offered:
        """Send a message now; the outcome is false if nobody listened."""
        await self._wait_running()
        self._check_size(topic, payload)
        message = Message(topic, payload, traceparent=traceparent)
        is_heard = self._is_consumed(topic)
        return Offered(is_heard=is_heard and self._deliver(message, keep_seconds=keep_seconds))

    async def is_heard(self, topic: str, probe: bytes) -> bool:  # noqa: ARG002
        """Return whether anybody consumes a queue."""
        await self._wait_running()
        return self._is_consumed(topic)

    async def subscribe(
        self, topic: str, handler: Handler, *, group: str = "", hold: bool = False
    ) -> Subscription:
        """Hand every message on `topic` to `handler`."""
        if not topics.is_queue(topic):
            return TopicSubscription(self, self._broker, topic, handler, group)
        kind = _ListeningToPattern if "*" in topic else _Listening
        listening = kind(self, topic, handler, hold=hold)
        self._listening.add(listening)
        if self.is_connected:
            listening.begin()
        return listening

    @property
    def keeps_messages(self) -> bool:
        """True: a declared queue holds them."""
        return True

    async def declare(self, topics: Sequence[str], *, note: str = "") -> None:
        """Bring queues into being."""
        await self._wait_running()
        if note:
            self._registry.remember(Declared(tuple(topics), note))
        for name in topics:
            self.queues.declare(name)

    async def delete(self, topics: Sequence[str]) -> None:
        """End queues, whatever they hold."""
        await self._wait_running()
        for name in topics:
            self.queues.delete(name)
        self._registry.forget(tuple(topics))

    async def unheard(self, topic: str) -> int:
        """Return how many messages wait on a queue to which nobody listens."""
        await self._wait_running()
        return 0 if self.queues.consumers(topic) else self.queues.waiting(topic)

    def left_behind(self) -> AsyncIterator[Declared]:
        """Yield what was declared by a connection that has ended and did not delete it."""
        self._registry.want()
        return self._registry

    async def disown(self) -> None:
        """Leave what was declared to whoever calls `left_behind` next."""
        self._registry.disown()
