"""What one connection to RabbitMQ has: its channels, and the operations on them.

| channel | what for | closed by RabbitMQ |
| --- | --- | --- |
| publishing | what the outbox sends, confirmed | the session ends |
| asking | messages whose outcome somebody awaits: routed or returned; replies to them | it ends |
| listening | consumers whose messages are acknowledged once they are handled | it ends |
| holding | consumers whose messages are acknowledged when their work begins | it ends |
| operations | what RabbitMQ may refuse (`bus/rabbitmq_operations.py`) | it is opened again |

So there are twenty channels, however many dialogs there are.
"""

import asyncio
import itertools
from collections.abc import Awaitable, Callable, Iterable
from typing import Self

from pamqp import base
from pamqp.commands import Basic, Confirm
from pamqp.common import FieldTable

from . import rabbitmq_topology as topology
from .amqp.channel import Channel, Incoming, fail
from .amqp.connection import AmqpConnection, Login
from .amqp.errors import ConnectionLostError
from .amqp.frames import Confirmation, Properties
from .rabbitmq_operations import Operations


class Session:
    """One connection with its channels."""

    def __init__(
        self,
        connection: AmqpConnection,
        channels: list[Channel],
        operations: Operations,
        address: str,
    ) -> None:
        self.connection = connection
        #: Where it goes, without credentials.
        self.address = address
        self.publishing, self.asking, self.listening, self.holding = channels
        self.operations = operations
        #: Why it has to end; set once.
        self.failed: asyncio.Future[Exception] = asyncio.get_running_loop().create_future()
        connection.lost.add_done_callback(lambda lost: self.fail(lost.result()))
        for channel in channels:
            channel.on_close = self.fail
        #: What is to be done in this session, one after another.
        self.jobs: asyncio.Queue[Callable[[Session], Awaitable[None]]] = asyncio.Queue()
        self._asked = itertools.count(1)
        self._outcomes: dict[int, asyncio.Future[bool]] = {}
        self._returned: set[int] = set()
        self._replies: dict[str, asyncio.Future[bytes]] = {}
        self._tags = itertools.count(1)
        self.asking.on_confirm = self._take_outcome
        self.asking.on_return = self._take_return

    @classmethod
    async def open(cls, login: Login) -> Self:
        """Connect, and open the channels.

        Raises:
            OSError, AmqpError: RabbitMQ can't be reached or refuses something.
        """
        connection = await AmqpConnection.connect(login)
        try:
            channels = await connection.open_channels(4)
            operations = await Operations.open(connection)
            session = cls(connection, channels, operations, f"{login.host}:{login.port}")
            await session._prepare()
        except BaseException:
            connection.abort()
            raise
        return session

    async def _prepare(self) -> None:
        for channel in (self.publishing, self.asking):
            await channel.call(Confirm.Select(), Confirm.SelectOk)
        self.asking.consumers[b"replies"] = self._take_reply
        consume = Basic.Consume(queue=topology.DIRECT_REPLY_TO, consumer_tag="replies", no_ack=True)
        await self.asking.call(consume, Basic.ConsumeOk)

    def fail(self, error: Exception) -> None:
        """Have it end."""
        if not self.failed.done():
            self.failed.set_result(error)

    async def close(self) -> None:
        """End it; nobody's question stays open."""
        error = ConnectionLostError("the connection to RabbitMQ was closed")
        self.fail(error)
        for outcome in self._outcomes.values():
            fail(outcome, error)
        for reply in self._replies.values():
            fail(reply, error)
        await self.connection.close()

    # Messages whose outcome somebody awaits

    async def ask(
        self,
        topic: str,
        payload: bytes,
        *,
        token: str = "",
        keep_seconds: float | None = None,
        traceparent: str = "",
    ) -> bool:
        """Publish a message; return whether any queue took it.

        Args:
            topic: where to.
            payload: what.
            token: of the reply that is awaited, or ''.
            keep_seconds: how long a queue may keep it.
            traceparent: the header of that name, or ''.

        Raises:
            AmqpError: the outcome is not known.
        """
        if self.failed.done():
            raise ConnectionLostError("the connection to RabbitMQ was lost")
        number = next(self._asked)
        outcome: asyncio.Future[bool] = asyncio.get_running_loop().create_future()
        self._outcomes[number] = outcome
        properties = topology.properties_of(
            message_id=str(number),
            reply_to=topology.DIRECT_REPLY_TO if token else "",
            correlation_id=token,
            keep_seconds=keep_seconds,
            traceparent=traceparent,
        )
        self.asking.publish(topic, payload, properties, exchange=topology.exchange_of(topic))
        return await outcome

    async def request(self, topic: str, payload: bytes, *, keep_seconds: float) -> bytes | None:
        """Publish a message and return the first reply to it, or None if no queue took it.

        Raises:
            AmqpError: the outcome is not known.
        """
        token = f"{next(self._tags)}"
        reply: asyncio.Future[bytes] = asyncio.get_running_loop().create_future()
        self._replies[token] = reply
        try:
            if not await self.ask(topic, payload, token=token, keep_seconds=keep_seconds):
                return None
            return await reply
        finally:
            reply.cancel()
            del self._replies[token]

    def _take_outcome(self, confirmation: Confirmation, refused: bool) -> None:  # noqa: FBT001
        settled = (
            [number for number in self._outcomes if number <= confirmation.tag]
            if confirmation.multiple
            else [confirmation.tag]
        )
        for number in settled:
            outcome = self._outcomes.pop(number, None)
            is_returned = number in self._returned
            self._returned.discard(number)
            if outcome is not None and not outcome.done():
                outcome.set_result(not refused and not is_returned)

    def _take_return(self, properties: Properties) -> None:
        self._returned.add(int(properties.message_id))

    def _take_reply(self, incoming: Incoming) -> None:
        reply = self._replies.get(incoming.properties.correlation_id)
        if reply is not None and not reply.done():
            reply.set_result(incoming.body)

    # Consumers

    def consume(
        self, channel: Channel, queue: str, take: Callable[[Incoming], None]
    ) -> "tuple[str, asyncio.Future[base.Frame]]":
        """Begin to consume a queue; a queue that is gone ends the session.

        Returns:
            The consumer's tag, and what fails or is done once messages come.
        """
        tag = self._add_consumer(channel, take)
        return tag, channel.request(Basic.Consume(queue=queue, consumer_tag=tag))

    def consume_with_priority(
        self, channel: Channel, queue: str, take: Callable[[Incoming], None], priority: int
    ) -> str:
        """Consume a queue and return the consumer's tag, without waiting for the answer."""
        tag = self._add_consumer(channel, take)
        arguments: FieldTable = {"x-priority": priority}
        channel.send(Basic.Consume(queue=queue, consumer_tag=tag, nowait=True, arguments=arguments))
        return tag

    def _add_consumer(self, channel: Channel, take: Callable[[Incoming], None]) -> str:
        tag = f"{next(self._tags)}"
        channel.consumers[tag.encode()] = take
        return tag

    @classmethod
    def cancel(cls, channel: Channel, tags: Iterable[str]) -> "list[asyncio.Future[base.Frame]]":
        """Begin to end consumers; what RabbitMQ had sent for one was handled once that is done."""
        if channel.closed is not None:
            return []
        return [cls._cancel(channel, tag) for tag in tags]

    @staticmethod
    def _cancel(channel: Channel, tag: str) -> "asyncio.Future[base.Frame]":
        answer = channel.request(Basic.Cancel(consumer_tag=tag))
        answer.add_done_callback(lambda _: channel.consumers.pop(tag.encode(), None))
        return answer
