"""The bus in memory with durable queues, as on RabbitMQ.

For tests; `tests/contract` runs the same suite on it and on RabbitMQ. Topics that are queues on
RabbitMQ (`protocol/topics.is_queue`) are queues here; all others reach the current listeners only.
"""

import itertools
from collections.abc import AsyncIterator, Sequence

from ari_proxy.bus.base import Handler, Message, SubscriptionHandle
from ari_proxy.bus.durable import DeclaredQueues
from ari_proxy.bus.receipt import Receipt
from ari_proxy.protocol import topics

from .bus import MemoryBroker, MemoryConnection, MemorySubscription
from .listening import PatternListener, QueueListener
from .queues import MemoryQueues
from .registry import MemoryRegistry


class DurableMemoryBroker(MemoryBroker):
    """Joins any number of `DurableMemoryBus`; its queues outlive their connections."""

    def __init__(self) -> None:
        super().__init__()
        self.queues = MemoryQueues()
        #: Numbers its connections and the holders of a registry in order of arrival.
        self.numbers = itertools.count(1)


class BrokerQueues:
    """The durable queues of a broker, as one connection sees them."""

    def __init__(
        self,
        queues: MemoryQueues,
        registry: MemoryRegistry,
        connection: MemoryConnection,
    ) -> None:
        self._queues = queues
        self._registry = registry
        self._connection = connection

    async def declare(self, topics: Sequence[str], *, note: str = "") -> None:
        """Create queues.

        Raises:
            BusUnavailableError: the broker is stopped.
        """
        await self._connection.wait_running()
        if note:
            self._registry.remember(DeclaredQueues(tuple(topics), note))
        for name in topics:
            self._queues.declare(name)

    async def delete(self, topics: Sequence[str]) -> None:
        """Delete queues with all their messages.

        Raises:
            BusUnavailableError: the broker is stopped.
        """
        await self._connection.wait_running()
        for name in topics:
            self._queues.delete(name)
        self._registry.forget(tuple(topics))

    def is_recorded(self, topics: Sequence[str]) -> bool:
        """Return whether queues that were declared together, with a note, are this process's."""
        return self._registry.has(tuple(topics))

    async def has_consumer(self, topic: str) -> bool:
        """Return whether a queue has a consumer; True for a topic that is no queue.

        Raises:
            BusUnavailableError: the broker is stopped.
        """
        await self._connection.wait_running()
        return self._queues.is_served(topic)

    async def is_drained(self, topic: str) -> bool:
        """Return whether a queue has a consumer, and no message waits in it.

        Raises:
            BusUnavailableError: the broker is stopped.
        """
        await self._connection.wait_running()
        return bool(self._queues.consumers(topic)) and not self._queues.waiting(topic)

    async def backlog(self, topic: str) -> int:
        """Return how many messages wait in a queue that has no consumer.

        Raises:
            BusUnavailableError: the broker is stopped.
        """
        await self._connection.wait_running()
        return 0 if self._queues.consumers(topic) else self._queues.waiting(topic)

    def orphans(self) -> AsyncIterator[DeclaredQueues]:
        """Yield queues that ended connections have declared with a note and not deleted."""
        self._registry.acquire()
        return self._registry

    async def release(self) -> None:
        """Leave the queues declared with a note to the next caller of `orphans`."""
        self._registry.release()


class DurableMemoryBus(MemoryConnection):
    """One connection to a `DurableMemoryBroker`."""

    def __init__(
        self,
        broker: DurableMemoryBroker,
        *,
        registry: str = "",
        buffer_bytes: int = 64 * 1024 * 1024,
    ) -> None:
        """Make a bus that is not connected yet.

        Args:
            broker: the broker to connect to.
            registry: name of the queue that records queues declared with a note; '' for no records.
            buffer_bytes: bound of the messages that wait to be sent.
        """
        super().__init__(broker, buffer_bytes=buffer_bytes)
        self._stored = broker.queues
        self._number = next(broker.numbers)
        self._listeners: set[QueueListener] = set()
        self._registry = MemoryRegistry(broker.queues, registry, broker.numbers)
        self.queues = BrokerQueues(broker.queues, self._registry, self)

    def _begin(self) -> None:
        for listener in tuple(self._listeners):
            listener.begin()
        self._registry.connect()

    def _end(self) -> None:
        for listener in tuple(self._listeners):
            listener.lose()
        self._registry.disconnect()

    def forget(self, listener: QueueListener) -> None:
        """Do not begin a listener again on later connections."""
        self._listeners.discard(listener)

    def _send_one(self, message: Message, number: int) -> None:  # noqa: ARG002  all is heard
        if not self._deliver(message) and topics.is_queue(message.topic):
            self._outbox.lose(message.topic, message.payload, "returned")

    def _deliver(self, message: Message, *, keep_seconds: float | None = None) -> bool:
        if topics.is_queue(message.topic):
            return self._stored.put(message, keep_seconds=keep_seconds)
        return self._broker.deliver(message)

    def _may_be_answered(self, topic: str) -> bool:
        if topics.is_of_dialog(topic):
            return self._stored.exists(topic)  # An executor comes for each of them.
        return self._stored.is_served(topic)

    async def publish_to_listener(
        self,
        topic: str,
        payload: bytes,
        *,
        keep_seconds: float | None = None,
        traceparent: str = "",
    ) -> Receipt:
        """Send a message now; the outcome is false if there was no listener.

        Raises:
            BusUnavailableError: the broker is stopped.
            MessageTooLargeError: the message is too large.
        """
        await self.wait_running()
        self._check_size(topic, payload)
        message = Message(topic, payload, traceparent=traceparent)
        is_delivered = self._stored.is_served(topic) and self._deliver(
            message, keep_seconds=keep_seconds
        )
        return Receipt(has_listener=is_delivered)

    async def subscribe(
        self, topic: str, handler: Handler, *, group: str = "", manual_ack: bool = False
    ) -> SubscriptionHandle:
        """Call `handler` with every message on `topic`."""
        if not topics.is_queue(topic):
            return MemorySubscription(self._broker, topic, handler, group, self._faults)
        shared = self, self._stored, self._faults, topic, handler
        listener: QueueListener
        if "*" in topic:
            listener = PatternListener(*shared, number=self._number, manual_ack=manual_ack)
        else:
            listener = QueueListener(*shared, manual_ack=manual_ack)
        self._listeners.add(listener)
        if self.is_connected:
            listener.begin()
        return listener
