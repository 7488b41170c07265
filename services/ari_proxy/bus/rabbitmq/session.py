"""What one session with RabbitMQ has: two connections, their channels, the operations on them.

RabbitMQ reads nothing more from a connection that publishes while it is low on memory or disk
(rabbitmq.com/docs/alarms). So nothing but what publishes goes through one connection; consumers,
their acknowledgements and all operations go through another, and go on.

| connection | channels | what for | closed by RabbitMQ |
| --- | --- | --- | --- |
| publisher | publishing | what the outbox sends, confirmed | the session ends |
| | asking | messages whose outcome somebody awaits, and replies | the session ends |
| consumer | listening | consumers that acknowledge what they have handled | they begin anew |
| | holding | consumers that acknowledge when work begins | they begin anew |
| | operations | what RabbitMQ may refuse (`bus/rabbitmq/operations.py`) | opened again |

So there are some twenty channels, however many dialogs there are.
"""

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import replace
from typing import Self

from pamqp.commands import Basic

from ari_proxy.bus.faults import Faults

from . import topology
from .attempts import ConsumeAttempts
from .connection import AmqpConnection, Login
from .consuming import Consuming
from .errors import ConnectionLostError
from .operations import Operations
from .pending_replies import PendingReplies
from .publishing_channels import AskingChannel, PublishingChannel


class Session:
    """Two connections with their channels; when one is lost, it is over."""

    def __init__(
        self,
        publisher: AmqpConnection,
        consumer: AmqpConnection,
        publishing: PublishingChannel,
        asking: AskingChannel,
        operations: Operations,
        faults: Faults,
    ) -> None:
        self.publisher = publisher
        self.consumer = consumer
        self.publishing = publishing
        self.asking = asking
        self.listening = Consuming(consumer, faults)
        self.holding = Consuming(consumer, faults)
        self.operations = operations
        self.attempts = ConsumeAttempts()
        #: Why it has to end; set once.
        self.failed: asyncio.Future[Exception] = asyncio.get_running_loop().create_future()
        for connection in (publisher, consumer):
            connection.lost.add_done_callback(lambda lost: self.fail(lost.result()))
        publishing.on_refused(self.fail)
        asking.on_refused(self.fail)
        #: What is to be done in this session, one after another.
        self.jobs: asyncio.Queue[Callable[[Session], Awaitable[None]]] = asyncio.Queue()
        self._replies = PendingReplies()

    @property
    def address(self) -> str:
        """Where it goes, without credentials."""
        return str(self.publisher)

    @classmethod
    async def open(cls, login: Login, faults: Faults) -> Self:
        """Connect, and open the channels; what goes wrong with messages is counted in `faults`.

        Raises:
            OSError, AmqpError: RabbitMQ can't be reached or refuses something.
        """
        consumer = await AmqpConnection.open(login)
        publisher = None
        try:
            operations = await Operations.open(consumer)
            publisher = await AmqpConnection.open(replace(login, name=f"{login.name}, publishing"))
            publishing = await publisher.open_publishing_channel()
            asking = await publisher.open_asking_channel()
            session = cls(publisher, consumer, publishing, asking, operations, faults)
            await asking.consume(
                topology.DIRECT_REPLY_TO, session._replies.take, tag="replies", no_ack=True
            )
        except BaseException:
            await consumer.drop()
            if publisher is not None:
                await publisher.drop()
            raise
        return session

    def fail(self, error: Exception) -> None:
        """Have it end."""
        if not self.failed.done():
            self.failed.set_result(error)

    async def close(self) -> None:
        """End it; nobody's question stays open."""
        error = ConnectionLostError("the connection to RabbitMQ was closed")
        self.fail(error)
        self._replies.fail(error)
        try:
            await self.publisher.end()
        finally:
            await self.consumer.end()

    # Messages whose outcome somebody awaits

    async def ask(
        self,
        topic: str,
        payload: bytes,
        *,
        token: str = "",
        keep_seconds: float | None = None,
        traceparent: str = "",
        persistent: bool = False,
    ) -> bool:
        """Publish a message; return whether any queue took it.

        Waits while RabbitMQ takes none.

        Args:
            topic: where to.
            payload: what.
            token: of the reply that is awaited, or ''.
            keep_seconds: how long a queue may keep it.
            traceparent: the header of that name, or ''.
            persistent: whether it outlives a restart of RabbitMQ in a durable queue.

        Raises:
            AmqpError: the outcome is not known.
        """
        begun_at = asyncio.get_running_loop().time()
        await self._writable()
        if keep_seconds is not None:
            waited = asyncio.get_running_loop().time() - begun_at
            keep_seconds = max(keep_seconds - waited, 0.0)
        properties = Basic.Properties(
            reply_to=topology.DIRECT_REPLY_TO if token else None,
            correlation_id=token or None,
            expiration=topology.expiration(keep_seconds),
            headers=topology.headers(traceparent),
        )
        return await self._publish(topic, payload, properties, persistent=persistent)

    async def record(self, queue: str, payload: bytes) -> None:
        """Have a queue keep a message beyond RabbitMQ's restart; returns when it is on its way.

        Raises:
            ConnectionLostError: the session is over.
        """
        await self._writable()
        self._publish(queue, payload, Basic.Properties(), persistent=True)

    def _publish(
        self, topic: str, payload: bytes, properties: Basic.Properties, *, persistent: bool
    ) -> asyncio.Future[bool]:
        """Publish a message; the result is whether any queue took it."""
        properties = topology.completed(properties, persistent=persistent)
        return self.asking.ask(topic, payload, properties, exchange=topology.exchange_of(topic))

    async def _writable(self) -> None:
        await self.publisher.writable()
        if self.failed.done() or self.publisher.lost.done():
            raise ConnectionLostError("the connection to RabbitMQ was lost")

    async def request(self, topic: str, payload: bytes, *, keep_seconds: float) -> bytes | None:
        """Publish a message and return the first reply to it, or None if no queue took it.

        Raises:
            AmqpError: the outcome is not known.
        """
        with self._replies.awaited() as (token, reply):
            if not await self.ask(topic, payload, token=token, keep_seconds=keep_seconds):
                return None
            return await reply
