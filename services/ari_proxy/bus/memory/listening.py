"""Subscriptions to durable queues in memory."""

import asyncio
import hashlib
from collections import deque
from typing import Final, Protocol

from ari_proxy.bus.base import Handler, Message
from ari_proxy.bus.faults import Faults
from ari_proxy.protocol import topics

from .queues import MemoryConsumer, MemoryQueues

#: Seconds after which a listener declares its queue again when it was deleted.
REDECLARE_SECONDS: Final = 0.1
#: Above all priorities of listeners that find a queue already declared.
_FIRST_COMER: Final = 1 << 32


class ListenerOwner(Protocol):
    """The connection of a listener."""

    @property
    def is_connected(self) -> bool:
        """True while the broker runs."""

    def forget(self, listener: "QueueListener") -> None:
        """Do not begin a listener again on later connections."""


class QueueListener:
    """Consumes a queue on each connection to the broker."""

    def __init__(
        self,
        owner: ListenerOwner,
        queues: MemoryQueues,
        faults: Faults,
        topic: str,
        handler: Handler,
        *,
        manual_ack: bool,
    ) -> None:
        self.topic = topic
        self._owner = owner
        self._queues = queues
        self._faults = faults
        self._handler = handler
        self._manual_ack = manual_ack
        self._consumers: dict[str, MemoryConsumer] = {}
        self._inbox: deque[Message] = deque()
        self._is_ended = False

    def begin(self) -> None:
        """Begin to consume."""
        self._queues.ensure(self.topic)
        self._consume(self.topic)

    def _consume(self, queue: str, priority: int = 0) -> None:
        consumer = MemoryConsumer(
            self._add,
            manual_ack=self._manual_ack,
            priority=priority,
            on_cancelled=lambda: self._on_cancelled(queue),
        )
        self._consumers[queue] = consumer
        self._queues.consume(queue, consumer)

    def _on_cancelled(self, queue: str) -> None:
        """Declare a deleted queue again after a moment: it has a listener."""
        del self._consumers[queue]

        def again() -> None:
            if not self._is_ended and self._owner.is_connected and not self._consumers:
                self.begin()

        asyncio.get_running_loop().call_later(REDECLARE_SECONDS, again)

    def _add(self, message: Message) -> None:
        self._inbox.append(message)
        asyncio.get_running_loop().call_soon(self._handle_next)

    def _handle_next(self) -> None:
        self._faults.run(self._handler, self._inbox.popleft())

    def lose(self) -> None:
        """End with the connection; unacknowledged messages are requeued."""
        if self._is_ended:
            self._owner.forget(self)
        consumers, self._consumers = self._consumers, {}
        for queue, consumer in consumers.items():
            self._queues.lose(queue, consumer)

    async def unsubscribe(self) -> None:
        """End the subscription; messages delivered so far are handled on return."""
        self._is_ended = True
        for queue, consumer in self._consumers.items():
            self._queues.cancel(queue, consumer)
        if not any(consumer.has_unacked for consumer in self._consumers.values()):
            self._owner.forget(self)
        await asyncio.sleep(0)


class PatternListener(QueueListener):
    """Consumes all declared queues of a pattern, shared with other listeners."""

    def __init__(  # noqa: PLR0913  as the other kind, and its number
        self,
        owner: ListenerOwner,
        queues: MemoryQueues,
        faults: Faults,
        topic: str,
        handler: Handler,
        *,
        number: int,
        manual_ack: bool,
    ) -> None:
        super().__init__(owner, queues, faults, topic, handler, manual_ack=manual_ack)
        #: Different for each connection, to share the queues.
        self._number = number

    def begin(self) -> None:
        """Begin to consume the existing queues, with a lower priority than earlier listeners."""
        self._queues.on_declared.append(self._on_declared)
        for queue in self._queues.matching(self.topic):
            self._join(queue, is_first_comer=False)

    def _on_declared(self, queue: str) -> None:
        if topics.matches(self.topic, queue):
            self._join(queue, is_first_comer=True)

    def _join(self, queue: str, *, is_first_comer: bool) -> None:
        """Consume a queue, with a priority that shares queues evenly between first comers."""
        digest = hashlib.blake2b(f"{self._number} {queue}".encode(), digest_size=4).digest()
        own = int.from_bytes(digest, "big")
        self._consume(queue, own + _FIRST_COMER if is_first_comer else own)

    def _on_cancelled(self, queue: str) -> None:
        del self._consumers[queue]

    def lose(self) -> None:
        """End with the connection."""
        self._join_no_more()
        super().lose()

    async def unsubscribe(self) -> None:
        """End the subscription; messages delivered so far are handled on return."""
        self._join_no_more()
        await super().unsubscribe()

    def _join_no_more(self) -> None:
        if self._on_declared in self._queues.on_declared:
            self._queues.on_declared.remove(self._on_declared)
