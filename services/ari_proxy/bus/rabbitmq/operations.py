"""Operations that RabbitMQ may refuse: declare, delete, describe, bind; on separate channels.

A refusal closes the channel (AMQP 0-9-1 §1.4.2.2); it is opened again, and what was behind the
refused operation is done again. Several channels, since RabbitMQ writes each durable queue to disk
and a channel waits for that: measured on RabbitMQ 3.10, one channel declares 350 queues a second,
sixteen 1,700, and a new dialog takes three.
"""

import asyncio
import contextlib
import itertools
from collections.abc import Awaitable, Callable
from functools import partial
from typing import Final, NamedTuple, Self, TypeVar

from pamqp.commands import Queue
from pamqp.common import FieldTable

from ari_proxy.protocol import topics

from . import topology
from .channel import AmqpChannel
from .connection import AmqpConnection
from .errors import ChannelAbortedError, ChannelClosedError

T = TypeVar("T")
_CHANNELS: Final = 16
_ACCESS_REFUSED: Final = 403
_NOT_FOUND: Final = 404
#: In RabbitMQ's text for a missing queue, but not for a queue whose node is down.
_NO_QUEUE: Final = "no queue"


class QueueState(NamedTuple):
    """Messages and consumers of a queue."""

    messages: int
    consumers: int


class _Slot:
    """One channel, opened again when RabbitMQ has closed it."""

    def __init__(self, connection: AmqpConnection, channel: AmqpChannel) -> None:
        self._connection = connection
        self._channel = channel
        self._reopening = asyncio.Lock()

    async def channel(self) -> AmqpChannel:
        async with self._reopening:
            if self._channel.has_ended:
                self._channel = await self._connection.open_channel()
        return self._channel


class Operations:
    """The operations on one connection."""

    def __init__(self, slots: list[_Slot]) -> None:
        self._slots = itertools.cycle(slots)

    @classmethod
    async def open(cls, connection: AmqpConnection) -> Self:
        """Open the channels, and declare the exchange.

        Raises:
            AmqpError: RabbitMQ refuses it.
        """
        channels = await connection.open_channels(_CHANNELS)
        operations = cls([_Slot(connection, channel) for channel in channels])
        await operations._declare_exchange()
        return operations

    async def _declare_exchange(self) -> None:
        try:
            await self._attempt(partial(_declare_exchange, passive=False))
        except ChannelClosedError as error:
            if error.code != _ACCESS_REFUSED:
                raise
            # An account that may not declare it may still use it, once it exists.
            await self._attempt(partial(_declare_exchange, passive=True))

    async def check(self) -> None:
        """Return once RabbitMQ has answered.

        Raises:
            ConnectionLostError: it won't.
        """
        await self._attempt(partial(_declare_exchange, passive=True))

    async def _attempt(
        self, work: Callable[[AmqpChannel], Awaitable[T]], *, answer_seconds: float | None = None
    ) -> T:
        """Run an operation, again whenever the end of its channel for another one interrupts it.

        Args:
            work: the operation.
            answer_seconds: after which, or when it is cancelled, its channel is given up: RabbitMQ
                does nothing else there until it has an answer.

        Raises:
            ChannelClosedError: it is refused.
            ConnectionLostError: the outcome is not known.
            TimeoutError: RabbitMQ does not answer.
        """
        slot = next(self._slots)
        while True:
            channel = await slot.channel()
            try:
                async with asyncio.timeout(answer_seconds):
                    return await work(channel)
            except ChannelAbortedError:
                continue
            except (TimeoutError, asyncio.CancelledError):
                if answer_seconds is not None:
                    channel.abandon()
                raise

    async def declare(
        self,
        queues: list[str],
        arguments: FieldTable | None = None,
        *,
        answer_seconds: float | None = None,
    ) -> None:
        """Declare queues, without arguments as the original does.

        Raises:
            ChannelClosedError: RabbitMQ refuses it.
            ConnectionLostError: the outcome is not known.
            TimeoutError: RabbitMQ does not answer.
        """

        async def work(channel: AmqpChannel) -> None:
            first, *others = queues
            channel.send(
                *(
                    Queue.Declare(queue=queue, durable=True, arguments=arguments, nowait=True)
                    for queue in others
                )
            )
            await channel.queue_declare(first, durable=True, arguments=arguments)

        await self._attempt(work, answer_seconds=answer_seconds)

    async def delete(self, queues: list[str]) -> None:
        """Delete queues; those that don't exist are no error (RabbitMQ's extension)."""

        async def work(channel: AmqpChannel) -> None:
            channel.send(*(Queue.Delete(queue=queue, nowait=True) for queue in queues[:-1]))
            await channel.queue_delete(queues[-1])

        await self._attempt(work)

    async def queue_state(
        self, queue: str, *, answer_seconds: float | None = None
    ) -> QueueState | None:
        """Return the state of a queue, or None if there is none.

        Raises:
            ChannelClosedError: its node is down, or it has an exclusive consumer.
            ConnectionLostError: the outcome is not known.
            TimeoutError: RabbitMQ does not answer.
        """

        async def work(channel: AmqpChannel) -> QueueState:
            found = await channel.queue_declare(queue, passive=True)
            return QueueState(found.message_count or 0, found.consumer_count or 0)

        try:
            return await self._attempt(work, answer_seconds=answer_seconds)
        except ChannelClosedError as error:
            if error.code == _NOT_FOUND and _NO_QUEUE in str(error):
                return None
            raise

    async def is_served(self, topic: str) -> bool:
        """Return whether a queue has a consumer; True for a topic that is no queue.

        Raises:
            ChannelClosedError: its node is down, or it has an exclusive consumer.
            ConnectionLostError: the outcome is not known.
        """
        if not topics.is_queue(topic):
            return True  # A message without a listener is returned.
        state = await self.queue_state(topic)
        return state is not None and bool(state.consumers)

    async def may_be_answered(self, topic: str) -> bool:
        """Return whether a request on a topic may get an answer.

        Raises:
            ChannelClosedError: the queue's node is down, or it has an exclusive consumer.
            ConnectionLostError: the outcome is not known.
        """
        if topics.is_of_dialog(topic):
            # An executor consumes each of them, a moment after it was declared.
            return await self.queue_state(topic) is not None
        return await self.is_served(topic)

    async def listen_to_topic(
        self, pattern: str, group: str, on_abandoned: Callable[[str], None]
    ) -> str:
        """Bind a queue of our own, or of a group, to a topic that is none; return its name.

        Args:
            pattern: a topic, which may contain `*`.
            group: or '' for a queue of our own.
            on_abandoned: called with the name of a queue whose caller was cancelled: RabbitMQ
                auto-deletes only queues that have had a consumer.
        """
        name = topology.group_queue(group, pattern) if group else ""

        async def work(channel: AmqpChannel) -> str:
            # RabbitMQ 4 wants no queues that are neither durable nor exclusive.
            method = Queue.Declare(
                queue=name, durable=bool(group), auto_delete=True, exclusive=not group
            )
            answer = channel.request(method)
            try:
                queue = (await asyncio.shield(answer)).queue or ""
                await channel.queue_bind(queue, topology.EXCHANGE, pattern)
            except asyncio.CancelledError:
                answer.add_done_callback(abandon)
                raise
            return queue

        def abandon(answer: asyncio.Future[Queue.DeclareOk]) -> None:
            if not answer.cancelled() and answer.exception() is None:
                on_abandoned(answer.result().queue or "")

        return await self._attempt(work)

    async def delete_unused(self, queue: str) -> None:
        """Delete a queue unless it has a consumer."""
        with contextlib.suppress(ChannelClosedError):  # It has one.
            await self._attempt(lambda channel: channel.queue_delete(queue, if_unused=True))

    async def bind(self, queue: str, pattern: str) -> None:
        """Bind a queue to one more topic."""
        await self._attempt(lambda channel: channel.queue_bind(queue, topology.EXCHANGE, pattern))


async def _declare_exchange(channel: AmqpChannel, *, passive: bool) -> None:
    await channel.exchange_declare(
        topology.EXCHANGE, exchange_type="topic", durable=True, passive=passive
    )
