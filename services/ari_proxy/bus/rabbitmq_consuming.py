"""The consumers of one connection: each may be refused or ended, and costs no other.

RabbitMQ closes the channel on which it refuses to consume (AMQP 0-9-1 §1.4.2.2), and all consumers
on it are gone. So what this account has not been seen to consume yet, of each *kind* of queue, is
tried on a channel of its own; what works shares one channel, whatever their number. When that one
is closed all the same (a queue went in between), its consumers begin anew on another one.
"""

import asyncio
import itertools
from collections.abc import Awaitable, Callable
from functools import partial

import structlog
from pamqp import base
from pamqp.commands import Basic
from pamqp.common import FieldTable

from .amqp.channel import Channel, Incoming
from .amqp.connection import AmqpConnection
from .amqp.errors import AmqpError, ChannelAbortedError, ChannelClosedError

_log = structlog.get_logger()


class Proofs:
    """Proves that RabbitMQ has handled the acknowledgements of a channel.

    A channel's methods are handled in order, so the answer to one that is sent behind an
    acknowledgement proves it. All acknowledgements of a moment are proved by one.
    """

    def __init__(self, channel: Channel) -> None:
        self._channel = channel
        self._next: asyncio.Future[bool] | None = None
        self._tags: list[int] = []

    def acknowledge(self, tag: int) -> "asyncio.Future[bool]":
        """Acknowledge a message; the result is False if RabbitMQ may not have heard of it."""
        self._tags.append(tag)
        if self._next is None:
            loop = asyncio.get_running_loop()
            self._next = loop.create_future()
            loop.call_soon(self._ask, self._next)
        return self._next

    def _ask(self, proof: "asyncio.Future[bool]") -> None:
        tags, self._tags, self._next = self._tags, [], None
        self._channel.acknowledge(*tags)
        try:
            answer = self._channel.request(Basic.Qos(prefetch_count=0))  # It changes nothing.
        except AmqpError:
            proof.set_result(False)
        else:
            answer.add_done_callback(
                lambda done: proof.set_result(not done.cancelled() and done.exception() is None)
            )


class Taking:
    """Takes one message, once: acknowledges it, and tells when RabbitMQ has handled that.

    Until then RabbitMQ may give it to another listener, and after that it will not: so what comes
    to another one was not taken here.
    """

    __slots__ = ("_proof", "_proofs", "_tag")

    def __init__(self, proofs: Proofs, tag: int) -> None:
        self._proofs = proofs
        self._tag = tag
        self._proof: asyncio.Future[bool] | None = None

    def __call__(self) -> Awaitable[bool]:
        """Return whether the message is this listener's from now on."""
        if self._proof is None:
            self._proof = self._proofs.acknowledge(self._tag)
        # Others wait for the same proof: who does not wait any longer must not cancel it.
        return asyncio.shield(self._proof)


class Consumer:
    """One queue that is consumed."""

    def __init__(
        self,
        queue: str,
        tag: str,
        channel: Channel,
        proofs: Proofs,
        *,
        on_lost: Callable[["Consumer"], None],
    ) -> None:
        self.queue = queue
        self.channel = channel
        self.proofs = proofs
        self.tag = tag
        self._on_lost = on_lost
        #: True once RabbitMQ has ended it.
        self.is_lost = False

    def lose(self) -> None:
        """Take that RabbitMQ has ended it."""
        self.is_lost = True
        self._on_lost(self)

    def cancel(self) -> "asyncio.Future[base.Frame] | None":
        """Begin to end it; what RabbitMQ had sent was handled once that is done."""
        if self.channel.closed is not None:
            return None
        answer = self.channel.request(Basic.Cancel(consumer_tag=self.tag))
        answer.add_done_callback(lambda _: self.channel.consumers.pop(self.tag.encode(), None))
        return answer


class Consuming:
    """The consumers of a session whose messages are acknowledged in one way."""

    def __init__(self, connection: AmqpConnection) -> None:
        self._connection = connection
        self._shared: Channel | None = None
        self._opening = asyncio.Lock()
        #: Kinds of queues that this account may consume, and where that is being tried.
        self._proven: set[str] = set()
        self._trials: dict[str, asyncio.Lock] = {}
        self._consumers: dict[Channel, dict[str, Consumer]] = {}
        self._proofs: dict[Channel, Proofs] = {}
        self._tags = itertools.count(1)

    async def consume(
        self,
        queue: str,
        take: Callable[[Consumer, Incoming], None],
        *,
        on_lost: Callable[[Consumer], None],
        kind: str,
        priority: int | None = None,
    ) -> Consumer:
        """Begin to consume a queue.

        Args:
            queue: its name.
            take: called with each message, in order and at once.
            on_lost: called when RabbitMQ has ended it: the queue is gone, its node, or a channel.
            kind: of the queue: what may be done with one may be done with all of its kind.
            priority: among the queue's consumers.

        Raises:
            ChannelClosedError: RabbitMQ refuses it.
            ConnectionLostError: the session is over.
        """
        attempt = partial(self._attempt, queue, take, on_lost, priority)
        async with self._trials.setdefault(kind, asyncio.Lock()):
            if kind not in self._proven:
                consumer = await self._try(attempt)
                self._proven.add(kind)
                return consumer
        while True:
            try:
                return await attempt(await self._shared_channel())
            except ChannelAbortedError:
                continue  # Another one's refusal has closed the channel.
            except ChannelClosedError as error:
                if f"'{queue}'" not in str(error):
                    continue  # It is another one's: answers of queues have no order.
                self._proven.discard(kind)
                raise

    async def _try(self, attempt: Callable[[Channel], Awaitable[Consumer]]) -> Consumer:
        channel = await self._open()
        consumer = await attempt(channel)
        if self._shared is None:
            self._shared = channel
        return consumer

    async def _shared_channel(self) -> Channel:
        async with self._opening:
            if self._shared is None:
                self._shared = await self._open()
            return self._shared

    async def _open(self) -> Channel:
        channel = await self._connection.channel()
        self._consumers[channel] = {}
        self._proofs[channel] = Proofs(channel)
        channel.on_cancel = partial(self._on_cancel, channel)
        channel.on_close = partial(self._on_close, channel)
        return channel

    async def _attempt(
        self,
        queue: str,
        take: Callable[[Consumer, Incoming], None],
        on_lost: Callable[[Consumer], None],
        priority: int | None,
        channel: Channel,
    ) -> Consumer:
        tag = f"{next(self._tags)}"
        consumer = Consumer(queue, tag, channel, self._proofs[channel], on_lost=on_lost)
        channel.consumers[tag.encode()] = partial(take, consumer)
        arguments: FieldTable = {} if priority is None else {"x-priority": priority}
        method = Basic.Consume(queue=queue, consumer_tag=tag, arguments=arguments)
        self._consumers[channel][tag] = consumer
        try:
            await channel.call(method, Basic.ConsumeOk)
        except asyncio.CancelledError:
            consumer.cancel()
            raise
        return consumer

    def _on_cancel(self, channel: Channel, tag: str) -> None:
        consumer = self._consumers[channel].pop(tag, None)
        if consumer is not None:
            consumer.lose()

    def _on_close(self, channel: Channel, error: Exception) -> None:
        lost = self._consumers.pop(channel)
        del self._proofs[channel]
        if channel is self._shared:
            self._shared = None
        self._connection.forget(channel)
        if lost:
            _log.warning(
                "bus.channel_closed", bus="RABBITMQ", consumers=len(lost), error=str(error)
            )
        for consumer in lost.values():
            consumer.lose()
