"""What subscriptions on RabbitMQ have in common.

RabbitMQ may refuse to let a queue be consumed (403 no permission, 404 its node is down, 405 it has
an exclusive consumer), or not answer (a quorum queue without a leader), and cancels the consumers
of a deleted queue. Each affects that queue alone: consuming it is tried again, with backoff, until
the subscription ends, and shows as a problem of the bus until it works.
"""

import asyncio
import contextlib
from collections.abc import Awaitable, Callable, Iterable
from typing import Final, Protocol

import structlog
from pamqp.commands import Basic

from ari_proxy.backoff import Backoff
from ari_proxy.bus.base import Handler, Message, already_acked, cannot_give_back
from ari_proxy.bus.faults import Faults
from ari_proxy.bus.refusals import ServerRefusals
from ari_proxy.protocol import topics

from . import topology
from .consuming import Consumer, Consuming, Wanted
from .errors import AmqpError, ChannelClosedError
from .messages import Incoming
from .retries import Retries
from .session import Session
from .taking import Taking

_log = structlog.get_logger()

#: Seconds for RabbitMQ to end a consumer.
CANCEL_SECONDS: Final = 5.0
#: … to let a queue be consumed, from the attempt's turn on; it does not answer for a quorum queue
#: without a leader.
ANSWER_SECONDS: Final = 4.0
#: … of them, to declare or describe it.
DECLARE_SECONDS: Final = ANSWER_SECONDS * 0.9
RETRY_BACKOFF: Final = Backoff(first_seconds=0.1, last_seconds=5.0)
#: Queues that are tried again at once.
_RETRIED_AT_ONCE: Final = 16


class RabbitMqSubscriptionOwner(Protocol):
    """The bus of a subscription, as the subscription uses it."""

    @property
    def refused_subscriptions(self) -> ServerRefusals:
        """Where a subscription reports that RabbitMQ refuses it."""

    @property
    def handler_faults(self) -> Faults:
        """Runs handlers."""

    @property
    def retry_backoff(self) -> Backoff:
        """Delays between attempts to consume a queue that RabbitMQ refuses."""

    def publish(self, topic: str, payload: bytes, *, reply: str = "") -> None:
        """Publish a message."""

    def forget(self, subscription: "RabbitMqSubscription") -> None:
        """Do not establish a subscription in later sessions."""


class RabbitMqSubscription:
    """A subscription that outlives sessions; its subclasses know what to consume."""

    def __init__(
        self, owner: RabbitMqSubscriptionOwner, topic: str, handler: Handler, *, manual_ack: bool
    ) -> None:
        self.topic = topic
        self._owner = owner
        self._handler = handler
        self._manual_ack = manual_ack
        self._session: Session | None = None
        #: Consumers of this session, by the name under which they were started.
        self._consumers: dict[str, Consumer] = {}
        self._refused: set[str] = set()
        #: Names that are being tried just now.
        self._attempting: set[str] = set()
        self._retries = Retries(owner.retry_backoff)
        self._retrying: asyncio.TimerHandle | None = None
        self._is_ended = False

    def is_established(self, session: Session) -> bool:
        """Return whether it is established in a session."""
        return self._session is session

    async def establish(self, session: Session) -> None:
        """Consume in a new session; what RabbitMQ refuses is tried again later.

        Raises:
            ConnectionLostError: the session is over.
        """
        self._session = session
        self._attempting = set()  # Attempts of another session end with it.
        self._consumers.clear()
        self._retries = Retries(self._owner.retry_backoff)
        self._retry_no_more()
        try:
            await self._begin(session)
        except BaseException:
            self._cancel()
            raise
        if self._is_ended:
            self._cancel()

    async def _begin(self, session: Session) -> None:
        await self._attempt(session, self.topic)

    # One thing to consume

    async def _attempt(self, session: Session, name: str) -> None:
        """Try to consume; on failure schedule another attempt."""
        attempting = self._attempting
        if name in attempting:
            return
        attempting.add(name)
        try:
            turn = session.attempts.turn(was_refused=name in self._refused)
            async with turn, asyncio.timeout(ANSWER_SECONDS):
                consumer = await self._consume(session, name)
        except ChannelClosedError as error:
            self._refuse(name, str(error))
        except TimeoutError:
            async with asyncio.timeout(ANSWER_SECONDS):
                await session.operations.check()  # If that has no answer, the session is over.
            self._refuse(name, "RabbitMQ does not answer")
        else:
            if session is self._session:
                self._accept(name, consumer)
        finally:
            attempting.discard(name)

    def _accept(self, name: str, consumer: Consumer | None) -> None:
        """Note that nothing is refused, and keep the consumer, if there is one."""
        if self._grant(name):
            _log.info("bus.subscription_granted", bus="RABBITMQ", topic=name or self.topic)
        if consumer is None:
            return
        self._consumers[name] = consumer
        if self._is_ended:
            self._cancel()
        elif consumer.is_lost:
            self._on_lost(name, consumer)
        else:
            self._retries.forget(name)

    async def _consume(self, session: Session, name: str) -> Consumer | None:
        """Consume; return None if that is no longer wanted, or postponed.

        Raises:
            ChannelClosedError: RabbitMQ refuses it.
            ConnectionLostError: the session is over.
        """
        raise NotImplementedError

    def _refuse(self, name: str, reason: str) -> None:
        if self._is_ended:
            return
        self._retries.fail(name)
        queue = name or self.topic
        self._refused.add(name)
        if self._owner.refused_subscriptions.add(
            (self, name), f"{queue} is not consumed: {reason}"
        ):
            _log.error("bus.subscription_refused", bus="RABBITMQ", topic=queue, error=reason)
        self._retry_later()

    def _on_lost(self, name: str, consumer: Consumer) -> None:
        """Note that RabbitMQ has cancelled a consumer: its queue is gone, or the queue's node."""
        if self._consumers.get(name) is consumer and not self._is_ended:
            del self._consumers[name]
            # A dialog's queue is deleted when the dialog is over.
            log = _log.debug if topics.is_of_dialog(consumer.queue) else _log.warning
            log("bus.consumer_ended", bus="RABBITMQ", queue=consumer.queue)
            self._retries.add(name)
            self._retry_later()

    def _retry_later(self) -> None:
        session = self._session
        if session is not None and self._retrying is None and self._retries:
            loop = asyncio.get_running_loop()
            pause = self._retries.pause_seconds
            self._retrying = loop.call_later(pause, session.jobs.put_nowait, self._retry)

    def _retry_no_more(self) -> None:
        if self._retrying is not None:
            self._retrying.cancel()
            self._retrying = None

    async def _retry(self, session: Session) -> None:
        if session is not self._session or self._is_ended:
            return
        self._retrying = None
        await self._attempt_all(session, self._retries.next_names(_RETRIED_AT_ONCE))
        self._retry_later()

    async def _attempt_all(self, session: Session, names: Iterable[str]) -> None:
        async with asyncio.TaskGroup() as tasks:
            for name in names:
                tasks.create_task(self._attempt(session, name))

    async def _consume_queue(
        self,
        session: Session,
        name: str,
        queue: str,
        *,
        kind: str,
        is_kept: bool,
        priority: int | None = None,
    ) -> Consumer:
        wanted = Wanted(
            queue=queue,
            take=self._deliver,
            on_lost=lambda consumer: self._on_lost(name, consumer),
            kind=kind,
            is_kept=is_kept,
            priority=priority,
        )
        return await self._channels(session).consume(wanted, is_suspect=name in self._refused)

    def _channels(self, session: Session) -> Consuming:
        return session.holding if self._manual_ack else session.listening

    @staticmethod
    def _abandon(session: Session, queue: str) -> None:
        """Schedule the deletion of a queue that this subscription has declared and not consumed."""
        session.jobs.put_nowait(lambda session: session.operations.delete_unused(queue))

    # Its end

    async def unsubscribe(self) -> None:
        """End the subscription; messages that RabbitMQ had already sent are handled on return."""
        self._is_ended = True
        self._owner.forget(self)
        with contextlib.suppress(AmqpError, TimeoutError):
            async with asyncio.timeout(CANCEL_SECONDS):
                for ending in self._cancel():
                    await ending

    def _grant(self, name: str) -> bool:
        """Withdraw a refusal; return False if there was none."""
        self._refused.discard(name)
        return self._owner.refused_subscriptions.remove((self, name))

    def forget_refusals(self) -> None:
        """Withdraw all refusals of this subscription."""
        for name in tuple(self._refused):
            self._grant(name)

    def _cancel(self) -> "list[asyncio.Future[Basic.CancelOk]]":
        """Cancel all consumers without waiting, as a cancelled caller can't wait."""
        self._retry_no_more()
        consumers, self._consumers = self._consumers, {}
        endings = [consumer.cancel() for consumer in consumers.values()]
        return [ending for ending in endings if ending is not None]

    # Messages

    def _deliver(self, consumer: Consumer, incoming: Incoming) -> None:
        delivery, properties, body = incoming
        reply = topology.reply_topic(properties.reply_to, properties.correlation_id)
        ack: Callable[[], Awaitable[bool]] = already_acked
        give_back = cannot_give_back
        if self._manual_ack:
            ack = taking = Taking(consumer.proofs, delivery.tag)
            give_back = taking.give_back
        else:
            consumer.channel.acknowledge_later(delivery.tag)
        topic = self._topic_of(consumer, delivery.routing_key)
        message = Message(topic, body, reply, ack, properties.traceparent, give_back)
        self._owner.handler_faults.run(self._handler, message)

    def _topic_of(self, consumer: Consumer, routing_key: str) -> str:  # noqa: ARG002
        """Return the topic of a message: its queue, however it was routed there.

        seed: a client may publish through an exchange of its own, with any routing key.
        """
        return consumer.queue
