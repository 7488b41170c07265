"""What a RabbitMQ connection listens to: queues, topics of the exchange, patterns of queues."""

import asyncio
import contextlib
from collections import deque
from collections.abc import Callable
from typing import TYPE_CHECKING, Final

import msgspec
import structlog
from pamqp import base

from ari_proxy.protocol import topics

from . import rabbitmq_topology as topology
from .amqp.channel import Channel, Incoming
from .amqp.errors import AmqpError, ChannelClosedError
from .base import Handler, Message, taken
from .rabbitmq_session import Session

if TYPE_CHECKING:
    from .rabbitmq import RabbitMqBus

_log = structlog.get_logger()

#: Seconds for RabbitMQ to end a consumer.
CANCEL_SECONDS: Final = 5.0
#: Queues of a pattern that are joined at once.
_BATCH: Final = 64


class _Take:
    """Acknowledges one message, once."""

    __slots__ = ("_channel", "_is_taken", "_tag")

    def __init__(self, channel: Channel, tag: int) -> None:
        self._channel = channel
        self._tag = tag
        self._is_taken = False

    def __call__(self) -> bool:
        """Return whether the message is this listener's from now on."""
        if not self._is_taken:
            self._is_taken = self._channel.acknowledge(self._tag)
        return self._is_taken


class Interest:
    """A subscription that outlives sessions; each kind says how it is established."""

    def __init__(self, bus: "RabbitMqBus", topic: str, handler: Handler, *, hold: bool) -> None:
        self.topic = topic
        self._bus = bus
        self._handler = handler
        self._hold = hold
        self._session: Session | None = None
        #: Of the session's consumers → their queues.
        self._consumers: dict[str, str] = {}
        self._is_ended = False

    def is_established(self, session: Session) -> bool:
        """Return whether this session has it."""
        return self._session is session

    async def establish(self, session: Session) -> None:
        """Begin to listen in a new session.

        Raises:
            AmqpError: the session ends, or RabbitMQ refuses it.
        """
        self._session = session
        self._consumers.clear()
        try:
            await self._consume(session)
        except BaseException:
            self._cancel(session)
            raise
        if self._is_ended:
            self._cancel(session)

    async def _consume(self, session: Session) -> None:
        raise NotImplementedError

    async def _consume_queue(self, session: Session, queue: str) -> None:
        tag, consuming = session.consume(self._channel(session), queue, self._take)
        self._consumers[tag] = queue
        await consuming

    def _channel(self, session: Session) -> Channel:
        return session.holding if self._hold else session.listening

    async def unsubscribe(self) -> None:
        """End it; what RabbitMQ had sent for it was handled on return."""
        self._is_ended = True
        self._bus.forget(self)
        if self._session is not None:
            with contextlib.suppress(AmqpError, TimeoutError):
                async with asyncio.timeout(CANCEL_SECONDS):
                    for ending in self._cancel(self._session):
                        await ending

    def _cancel(self, session: Session) -> "list[asyncio.Future[base.Frame]]":
        """Begin to end all consumers, at once: this may be all that is done on a cancellation."""
        tags, self._consumers = self._consumers, {}
        return session.cancel(self._channel(session), tags)

    def on_cancelled(self, tag: str) -> bool:
        """Take that a consumer's queue is gone; return whether it was one of ours."""
        queue = self._consumers.pop(tag, None)
        if queue is None:
            return False
        if not topics.is_of_dialog(queue) and self._session is not None:
            # It has to be there again, and a new session brings it back.
            self._session.fail(AmqpError(f"the queue {queue} was deleted"))
        return True

    def _take(self, incoming: Incoming) -> None:
        delivery, properties, body = incoming
        session = self._session
        if session is None:
            return
        channel = self._channel(session)
        reply = topology.reply_topic(properties.reply_to, properties.correlation_id)
        take: Callable[[], bool] = taken
        if self._hold:
            take = _Take(channel, delivery.tag)
        else:
            channel.acknowledge_later(delivery.tag)
        origin = delivery.redelivered, take, properties.traceparent
        self._handler(Message(delivery.routing_key, body, reply, *origin))


class QueueInterest(Interest):
    """Listens to one queue."""

    async def _consume(self, session: Session) -> None:
        try:
            await session.operations.declare([self.topic])
        except ChannelClosedError as error:
            # Somebody has declared it otherwise; it serves all the same.
            _log.warning("queue.declared_otherwise", queue=self.topic, error=str(error))
        await self._consume_queue(session, self.topic)


class TopicInterest(Interest):
    """Listens to a topic of the exchange, alone or in a group."""

    def __init__(
        self, bus: "RabbitMqBus", topic: str, handler: Handler, *, group: str, hold: bool
    ) -> None:
        super().__init__(bus, topic, handler, hold=hold)
        self._group = group

    async def _consume(self, session: Session) -> None:
        queue = await session.operations.listen_to_topic(self.topic, self._group)
        await self._consume_queue(session, queue)


class PatternInterest(Interest):
    """Listens to all declared queues of a pattern, sharing them with others that do.

    RabbitMQ has no wildcards on queues. Whoever declares one tells so on a topic of the exchange,
    and lists all of them when asked; every listener consumes all queues, and RabbitMQ hands each
    queue's messages to the listener with the highest priority there, as long as it lives. No
    `exclusive` consumer: one that comes too early is refused, which closes its channel for all
    others, and somebody would have to find out that the former one is dead.
    """

    def __init__(
        self, bus: "RabbitMqBus", topic: str, handler: Handler, *, listener: str, hold: bool
    ) -> None:
        super().__init__(bus, topic, handler, hold=hold)
        self._listener = listener
        #: Queues that exist, as far as is known → whether it was known from the queue's beginning.
        self._known: dict[str, bool] = {}
        self._joining: deque[str] = deque()
        self._directory = ""

    async def _consume(self, session: Session) -> None:
        # After a break somebody else has them; who comes back does not take them away again.
        self._known = dict.fromkeys(self._known, False)
        self._joining = deque(self._known)
        session.jobs.put_nowait(self._join_some)
        first, *others = topology.notices_of(self.topic)
        directory = await session.operations.listen_to_topic(first)
        for notices in others:
            await session.operations.bind(directory, notices)
        self._directory, consuming = session.consume(
            session.listening, directory, self._take_notice
        )
        await consuming
        self._bus.publish(topology.list_topic(self.topic), b"", reply=directory)

    def _cancel(self, session: Session) -> "list[asyncio.Future[base.Frame]]":
        directory, self._directory = self._directory, ""
        tags = [directory] if directory else []
        return super()._cancel(session) + session.cancel(session.listening, tags)

    def _take_notice(self, incoming: Incoming) -> None:
        session = self._session
        if session is not None:
            session.listening.acknowledge_later(incoming.delivery.tag)
        notice = incoming.delivery.routing_key
        kind, queue = notice.partition(".")[0], topology.queue_of(notice)
        if kind == "declared":
            self._learn(queue, first_comer=not incoming.body)
        elif kind == "deleted":
            self._known.pop(queue, None)
        else:
            try:
                for listed in topology.decode_topics(incoming.body):
                    self._learn(listed, first_comer=False)
            except msgspec.DecodeError as error:
                _log.warning("queue_list.malformed", error=str(error))

    def _learn(self, queue: str, *, first_comer: bool) -> None:
        if queue not in self._known and self._session is not None:
            self._known[queue] = first_comer
            if not self._joining:
                self._session.jobs.put_nowait(self._join_some)
            self._joining.append(queue)

    async def _join_some(self, session: Session) -> None:
        """Join some of the queues, and come back for the others."""
        batch = [self._joining.popleft() for _ in range(min(_BATCH, len(self._joining)))]
        async with asyncio.TaskGroup() as tasks:
            for queue in batch:
                tasks.create_task(self._join(session, queue))
        if self._joining and not self._is_ended:
            session.jobs.put_nowait(self._join_some)

    async def _join(self, session: Session, queue: str) -> None:
        """Consume a queue if it is still there: to consume one that is not ends the session."""
        if await session.operations.look(queue) is None:
            self._known.pop(queue, None)
        elif queue in self._known and not self._is_ended:
            first_comer = self._known[queue]
            priority = topology.priority(self._listener, queue, first_comer=first_comer)
            channel = self._channel(session)
            tag = session.consume_with_priority(channel, queue, self._take, priority)
            self._consumers[tag] = queue
