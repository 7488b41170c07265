"""Foreign clients: nats-py, and aio-pika with the declarations of go-ari-proxy's library."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import aio_pika
import nats
from aio_pika.abc import (
    AbstractChannel,
    AbstractConnection,
    AbstractIncomingMessage,
    AbstractQueue,
)
from aio_pika.exceptions import ChannelNotFoundEntity
from nats.aio.client import Client
from nats.aio.msg import Msg

from ari_proxy.bus.base import Handler, Message, SubscriptionHandle


class _Outgoing:
    """Publishes in order, without waiting."""

    def __init__(self) -> None:
        self._outgoing: asyncio.Queue[tuple[str, bytes]] = asyncio.Queue()

    def publish(
        self,
        topic: str,
        payload: bytes,
        *,
        reply: str = "",  # noqa: ARG002
        once: bool = False,  # noqa: ARG002
    ) -> None:
        self._outgoing.put_nowait((topic, payload))

    async def send_all(self) -> None:
        while True:
            await self._send(*await self._outgoing.get())

    async def _send(self, topic: str, payload: bytes) -> None:
        raise NotImplementedError


class ForeignSubscription:
    def __init__(self, queue: AbstractQueue, tag: str) -> None:
        self._queue = queue
        self._tag = tag

    async def unsubscribe(self) -> None:
        await self._queue.cancel(self._tag)


class ForeignClient(_Outgoing):
    """An application's bus on aio-pika, which declares, publishes and consumes as the original's.

    The arguments are those of the golden transcripts.
    """

    def __init__(self, connection: AbstractConnection, channel: AbstractChannel) -> None:
        super().__init__()
        self._connection = connection
        self.channel = channel
        self._subscriptions: list[ForeignSubscription] = []

    async def _send(self, topic: str, payload: bytes) -> None:
        await self.declare(topic)
        message = aio_pika.Message(
            payload,
            content_type="application/json",
            delivery_mode=aio_pika.DeliveryMode.NOT_PERSISTENT,
        )
        await self.channel.default_exchange.publish(message, topic, mandatory=False)

    async def cancel_all(self) -> None:
        """Cancel all consumers."""
        for subscription in self._subscriptions:
            await subscription.unsubscribe()
        self._subscriptions.clear()

    async def depth(self, queue: str) -> tuple[int, int] | None:
        """Return the numbers of messages and consumers of a queue, or None without that queue."""
        try:
            # A channel of its own: a queue that is not there closes it.
            async with self._connection.channel() as channel:
                declared = await channel.declare_queue(queue, passive=True)
        except ChannelNotFoundEntity:
            return None
        found = declared.declaration_result
        return found.message_count or 0, found.consumer_count or 0

    async def declare(self, topic: str) -> AbstractQueue:
        return await self.channel.declare_queue(topic, durable=True)

    async def subscribe(
        self,
        topic: str,
        handler: Handler,
        *,
        group: str = "",  # noqa: ARG002  it has no groups
    ) -> ForeignSubscription:
        queue = await self.declare(topic)

        async def take(message: AbstractIncomingMessage) -> None:
            handler(Message(topic, message.body, message.reply_to or ""))
            await message.ack()

        subscription = ForeignSubscription(queue, await queue.consume(take))
        self._subscriptions.append(subscription)
        return subscription


@asynccontextmanager
async def _sending(client: _Outgoing) -> AsyncIterator[None]:
    async with asyncio.TaskGroup() as tasks:
        sending = tasks.create_task(client.send_all())
        try:
            yield
        finally:
            sending.cancel()


@asynccontextmanager
async def foreign_client(url: str) -> AsyncIterator[ForeignClient]:
    async with await aio_pika.connect(url) as connection:
        client = ForeignClient(connection, await connection.channel())
        async with _sending(client):
            yield client


class ForeignNatsClient(_Outgoing):
    """An application's bus on nats-py, with nats-py's own reconnecting."""

    def __init__(self, client: Client) -> None:
        super().__init__()
        self._client = client

    async def _send(self, topic: str, payload: bytes) -> None:
        await self._client.publish(topic, payload)

    async def subscribe(
        self, topic: str, handler: Handler, *, group: str = ""
    ) -> SubscriptionHandle:
        async def take(message: Msg) -> None:
            handler(Message(message.subject, message.data, message.reply))

        subscription = await self._client.subscribe(topic, queue=group, cb=take)
        await self._client.flush()
        return subscription


@asynccontextmanager
async def foreign_nats_client(url: str) -> AsyncIterator[ForeignNatsClient]:
    """Yield a client that takes two seconds to reconnect to a server that was away."""

    async def say_nothing(_: Exception) -> None:
        pass

    connection = await nats.connect(url, max_reconnect_attempts=-1, error_cb=say_nothing)
    client = ForeignNatsClient(connection)
    try:
        async with _sending(client):
            yield client
    finally:
        await connection.close()
