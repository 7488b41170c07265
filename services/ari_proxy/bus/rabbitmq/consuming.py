"""The consumers of one connection: each may be refused or ended, and costs no other.

RabbitMQ closes the channel on which it refuses to consume (AMQP 0-9-1 §1.4.2.2), and all consumers
on it are gone. So what this account has not been seen to consume yet, of each *kind* of queue, and
each queue that was refused before, is tried on a channel of its own; all other queues share one
channel, whatever their number. When that one is closed all the same (a queue went in between), its
consumers begin anew on another one.

A consumer stays on the channel on which it was tried: while a queue has none, requests to it fail
and nothing is offered there. Only when there are many such channels is a queue that outlives its
consumers tried first and then consumed on the shared one. That trial handles no message: what
RabbitMQ sends there is not acknowledged, and comes again, in order, once its channel is closed.
"""

import asyncio
import itertools
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import Final, Protocol

import structlog
from pamqp.commands import Basic
from pamqp.common import FieldTable

from ari_proxy.bus.faults import Faults

from .channel import AmqpChannel
from .connection import AmqpConnection
from .errors import ChannelAbortedError, ChannelClosedError
from .messages import Incoming
from .taking import Proofs

_log = structlog.get_logger()

#: Channels that are opened to find out whether something is refused; a connection has 128.
_TRIALS_AT_ONCE: Final = 8
#: Channels from which on a consumer does not stay on that of its trial if it can be moved.
_MANY_CHANNELS: Final = 8


class ConsumerOwner(Protocol):
    """What has begun a consumer."""

    def forget(self, consumer: "Consumer") -> None:
        """Forget a consumer that this side has ended."""


class Consumer:
    """One queue that is consumed."""

    def __init__(
        self,
        wanted: "Wanted",
        tag: str,
        channel: AmqpChannel,
        proofs: Proofs,
        owner: ConsumerOwner,
    ) -> None:
        self.queue = wanted.queue
        self.channel = channel
        self.proofs = proofs
        self.tag = tag
        self._wanted = wanted
        self._owner = owner
        #: True once RabbitMQ has begun it.
        self.is_begun = False
        #: True once RabbitMQ has ended it.
        self.is_lost = False

    def begin(self) -> None:
        """Note that RabbitMQ has begun it."""
        self.is_begun = True

    def lose(self) -> None:
        """Take that RabbitMQ has ended it."""
        self.is_lost = True
        self._wanted.on_lost(self)

    def cancel(self) -> "asyncio.Future[Basic.CancelOk] | None":
        """Begin to end it; what RabbitMQ had sent was handled once that is done."""
        if self.channel.has_ended:
            return None
        answer = self.channel.request(Basic.Cancel(consumer_tag=self.tag))
        answer.add_done_callback(self._end)
        return answer

    def _end(self, _: "asyncio.Future[Basic.CancelOk]") -> None:
        self.channel.forget(self.tag)
        self._owner.forget(self)


@dataclass(frozen=True, slots=True, kw_only=True)
class Wanted:
    """What to consume, and how."""

    #: Its name.
    queue: str
    #: Called with each message, in order and at once.
    take: Callable[[Consumer, Incoming], None]
    #: Called when RabbitMQ has ended it: the queue is gone, its node, or a channel.
    on_lost: Callable[[Consumer], None]
    #: What may be done with one queue may be done with all of its kind, as a rule.
    kind: str
    #: Whether the queue outlives its consumers for certain.
    is_kept: bool
    #: Among the queue's consumers.
    priority: int | None = None

    @property
    def arguments(self) -> FieldTable:
        """What RabbitMQ is told with it."""
        return {} if self.priority is None else {"x-priority": self.priority}


class Consuming:
    """The consumers of a session whose messages are acknowledged in one way."""

    def __init__(self, connection: AmqpConnection, faults: Faults) -> None:
        self._connection = connection
        self._faults = faults
        self._shared: AmqpChannel | None = None
        self._opening = asyncio.Lock()
        #: Kinds of queues that this account may consume, and where that is being tried.
        self._proven: set[str] = set()
        self._trials: dict[str, asyncio.Lock] = {}
        self._trying = asyncio.Semaphore(_TRIALS_AT_ONCE)
        self._consumers: dict[AmqpChannel, dict[str, Consumer]] = {}
        self._proofs: dict[AmqpChannel, Proofs] = {}
        self._tags = itertools.count(1)

    async def consume(self, wanted: Wanted, *, is_suspect: bool) -> Consumer:
        """Begin to consume a queue.

        Args:
            wanted: which one, and how.
            is_suspect: whether it was refused when it was tried last, whatever its kind.

        Raises:
            ChannelClosedError: RabbitMQ refuses it.
            ConnectionLostError: the session is over.
        """
        while True:
            consumer = await self._prove(wanted, is_suspect=is_suspect)
            if consumer is not None:
                return consumer
            channel = await self._shared_channel()
            try:
                return await self._attempt(wanted, channel)
            except (ChannelAbortedError, ChannelClosedError) as error:
                # Answers of queues have no order: only its text tells whose refusal it is.
                refusal = channel.refusal
                if refusal is not None and f"'{wanted.queue}'" in str(refusal):
                    self._proven.discard(wanted.kind)
                    raise refusal from None
                is_suspect = is_suspect or isinstance(error, ChannelClosedError)

    async def _prove(self, wanted: Wanted, *, is_suspect: bool) -> Consumer | None:
        """Find out whether a queue may be consumed; return its consumer if that has begun."""
        if is_suspect:
            return await self._try(wanted)
        async with self._trials.setdefault(wanted.kind, asyncio.Lock()):
            if wanted.kind in self._proven:
                return None
            consumer = await self._try(wanted)
            self._proven.add(wanted.kind)
            return consumer

    async def _try(self, wanted: Wanted) -> Consumer | None:
        async with self._trying:
            self._release_idle()
            if not wanted.is_kept or len(self._consumers) < _MANY_CHANNELS:
                return await self._begin_alone(wanted)
            channel = await self._connection.open_channel()
            tag = f"{next(self._tags)}"
            try:
                await channel.consume(
                    wanted.queue, lambda _: None, tag=tag, arguments=wanted.arguments
                )
            except BaseException:
                channel.start(channel.release())  # It may have no answer either.
                raise
            await channel.release()
            return None

    async def _begin_alone(self, wanted: Wanted) -> Consumer:
        channel = await self._open()
        try:
            consumer = await self._attempt(wanted, channel)
        except BaseException:
            self._release(channel)
            raise
        if self._shared is None:
            self._shared = channel
        return consumer

    async def _shared_channel(self) -> AmqpChannel:
        async with self._opening:
            if self._shared is None:
                self._shared = await self._open()
            return self._shared

    async def _open(self) -> AmqpChannel:
        channel = await self._connection.open_channel()
        self._consumers[channel] = {}
        self._proofs[channel] = Proofs(channel, self._faults)
        channel.on_consumer_cancel_callbacks.add(partial(self._on_cancel, channel))
        channel.on_refused(partial(self._on_refused, channel))
        return channel

    async def _attempt(self, wanted: Wanted, channel: AmqpChannel) -> Consumer:
        tag = f"{next(self._tags)}"
        consumer = Consumer(wanted, tag, channel, self._proofs[channel], self)
        on_message = partial(wanted.take, consumer)
        self._consumers[channel][tag] = consumer
        try:
            await channel.consume(wanted.queue, on_message, tag=tag, arguments=wanted.arguments)
        except asyncio.CancelledError:
            consumer.cancel()
            raise
        consumer.begin()
        return consumer

    def _on_cancel(self, channel: AmqpChannel, frame: Basic.Cancel) -> None:
        consumer = self._consumers.get(channel, {}).pop(frame.consumer_tag or "", None)
        if consumer is not None:
            consumer.lose()

    def forget(self, consumer: Consumer) -> None:
        """Forget a consumer that this side has ended, and its channel if nothing else needs it."""
        self._consumers.get(consumer.channel, {}).pop(consumer.tag, None)
        self._release_idle()

    def _release_idle(self) -> None:
        """Close the channels without consumers whose messages are all acknowledged."""
        for channel, consumers in tuple(self._consumers.items()):
            if (
                not consumers
                and not self._proofs[channel].is_holding
                and channel is not self._shared
            ):
                self._release(channel)

    def _release(self, channel: AmqpChannel) -> None:
        self._consumers.pop(channel, None)
        self._proofs.pop(channel, None)
        if channel.refusal is None:
            channel.start(channel.release())

    def _on_refused(self, channel: AmqpChannel, error: Exception) -> None:
        lost = self._consumers.pop(channel, {})
        if channel is self._shared:
            self._shared = None
        self._release(channel)
        living = sum(consumer.is_begun for consumer in lost.values())
        if living:
            _log.warning("bus.channel_closed", bus="RABBITMQ", consumers=living, error=str(error))
        for consumer in lost.values():
            consumer.lose()
