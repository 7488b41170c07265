"""The bus on RabbitMQ: aiormq's connections and channels, with messages beside it.

Messages are published pipelined and in order on one channel, and kept until RabbitMQ has confirmed
them (rabbitmq.com/docs/confirms); after a lost connection unconfirmed messages are sent again. A
refused operation closes its channel, so operations that RabbitMQ may refuse have channels of their
own, and so has each subscription until it works. When RabbitMQ closes a channel for publishing, a
new session begins.
"""

import asyncio
import secrets
import ssl
from collections.abc import Awaitable, Callable
from typing import Final, TypeVar

import structlog

from ari_proxy.aio import first_leaf
from ari_proxy.backoff import Backoff
from ari_proxy.bus.base import Handler, Message, Right, Verdict
from ari_proxy.bus.buffered import BufferedBus
from ari_proxy.bus.connection_loop import keep_connected
from ari_proxy.bus.errors import (
    BusRefusedError,
    BusUnavailableError,
    NoRespondersError,
    OutcomeUnknownError,
)
from ari_proxy.bus.faults import Faults
from ari_proxy.bus.receipt import Receipt
from ari_proxy.bus.refusals import ServerRefusals
from ari_proxy.protocol import topics

from . import topology, trials
from .declarations import Declarations
from .errors import AmqpError, ChannelClosedError, UnconfirmedError
from .nodes import Nodes
from .options import RabbitMqOptions
from .patterns import PatternSubscription
from .publishing import Publishing, PublishPermissions
from .queues import RabbitMqQueues
from .registry import REFRESH_SECONDS
from .session import Session
from .session_tasks import OPERATION_SECONDS, run_jobs, watch
from .subscription import RETRY_BACKOFF, RabbitMqSubscription
from .subscriptions import QueueSubscription, TopicSubscription

_log = structlog.get_logger()

T = TypeVar("T")
CONNECT_SECONDS: Final = 5.0
BACKOFF: Final = Backoff(first_seconds=0.1, last_seconds=5.0)
#: Subscriptions established at once.
_ESTABLISHED_AT_ONCE: Final = 64


class RabbitMqBus(BufferedBus):
    """One connection to RabbitMQ."""

    def __init__(
        self,
        options: RabbitMqOptions,
        *,
        refresh_seconds: float = REFRESH_SECONDS,
        retry_backoff: Backoff = RETRY_BACKOFF,
    ) -> None:
        super().__init__(options.buffer_bytes)
        #: Delays between attempts to consume a queue that RabbitMQ refuses.
        self.retry_backoff = retry_backoff
        self._nodes = Nodes(options)
        self._persistent = options.persistent
        self._listener = secrets.token_hex(8)
        self._subscriptions: set[RabbitMqSubscription] = set()
        self._session: Session | None = None
        self._max_message_bytes = topology.MAX_MESSAGE_BYTES
        self._permissions = PublishPermissions(self._refusals)
        self._declarations = Declarations(
            options.registry,
            self.publish,
            self._refusals,
            permissions=self._permissions,
            refresh_seconds=refresh_seconds,
        )
        self.queues = RabbitMqQueues(self._declarations, self._in_session)
        if options.registry:
            lists = topology.ALL_LISTS, self._declarations.answer_list
            missing = topology.ALL_MISSING, self._restore_missing
            for topic, answer in (lists, missing):
                self._subscriptions.add(TopicSubscription(self, topic, answer))

    # The port

    @property
    def max_message_bytes(self) -> int:
        """The largest payload that RabbitMQ accepts."""
        return self._max_message_bytes

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
            BusUnavailableError: the connection was lost before the outcome was known; as
                `OutcomeUnknownError` if the message was sent.
            BusRefusedError: the account may not publish on the topic, or RabbitMQ does not describe
                the queue; as `MessageTooLargeError` if the message is too large.
        """
        self._check_size(topic, payload)

        async def work(session: Session) -> bool:
            self._permissions.check(topic)
            if not await session.operations.is_served(topic):
                return False
            try:
                return await session.ask(
                    topic,
                    payload,
                    keep_seconds=keep_seconds,
                    traceparent=traceparent,
                    persistent=self._persistent,
                )
            except UnconfirmedError as error:
                raise OutcomeUnknownError(str(error)) from error

        return Receipt(has_listener=await self._in_session(work))

    async def request(self, topic: str, payload: bytes, *, timeout_seconds: float) -> bytes:
        """Send a message and return the first reply to it.

        Raises:
            NoRespondersError: the queue has no consumer, or the topic no listener.
            BusTimeoutError: no reply in time.
            BusUnavailableError: no connection in time, or it was lost.
            BusRefusedError: the account may not publish on the topic; as `MessageTooLargeError` if
                the message is too large.
        """
        self._check_size(topic, payload)
        loop = asyncio.get_running_loop()
        until = loop.time() + timeout_seconds

        async def work(session: Session) -> bytes | None:
            self._permissions.check(topic)
            if not await session.operations.may_be_answered(topic):
                return None
            # Not longer than the caller waits: a command would still be executed.
            keep_seconds = max(until - loop.time(), 0.0)
            return await session.request(topic, payload, keep_seconds=keep_seconds)

        async with self._deadline(topic, timeout_seconds):
            reply = await self._in_session(work)
        if reply is None:
            raise NoRespondersError(topic)
        return reply

    async def try_right(self, right: Right) -> Verdict:
        """Check whether RabbitMQ grants a right, without a visible effect on anyone.

        Raises:
            BusUnavailableError: the connection was lost before the answer came.
        """
        is_granted = await self._in_session(lambda session: trials.is_granted(session, right))
        return "granted" if is_granted else "refused"

    async def subscribe(
        self, topic: str, handler: Handler, *, group: str = "", manual_ack: bool = False
    ) -> RabbitMqSubscription:
        """Call `handler` with every message on `topic`."""
        subscription: RabbitMqSubscription
        if not topics.is_queue(topic):
            subscription = TopicSubscription(
                self, topic, handler, group=group, manual_ack=manual_ack
            )
        elif "*" in topic:
            subscription = PatternSubscription(
                self, topic, handler, listener=self._listener, manual_ack=manual_ack
            )
        else:
            subscription = QueueSubscription(self, topic, handler, manual_ack=manual_ack)
        self._subscriptions.add(subscription)
        session = self._session
        if session is not None:
            try:
                await self._establish(session, subscription)
            except asyncio.CancelledError:
                self.forget(subscription)
                raise
            except (AmqpError, TimeoutError) as error:
                session.fail(error)  # The next one establishes it.
        return subscription

    # What subscriptions use

    @property
    def refused_subscriptions(self) -> ServerRefusals:
        """Where a subscription reports that RabbitMQ refuses it."""
        return self._refusals

    @property
    def handler_faults(self) -> Faults:
        """Runs the handlers of subscriptions."""
        return self._faults

    def forget(self, subscription: RabbitMqSubscription) -> None:
        """Do not establish a subscription in later sessions."""
        self._subscriptions.discard(subscription)
        subscription.forget_refusals()

    def _restore_missing(self, message: Message) -> None:
        """Declare a queue of ours again that a subscriber has found missing."""
        work = self._declarations.bring_back(topology.queue_of(message.topic))
        if work is not None and self._session is not None:
            self._session.jobs.put_nowait(work)

    async def _in_session(self, work: Callable[[Session], Awaitable[T]]) -> T:
        await self._state.wait_connected()
        session = self._session
        if session is None:
            raise BusUnavailableError("the connection to RabbitMQ was lost")
        try:
            return await work(session)
        except ChannelClosedError as error:
            raise BusRefusedError(str(error)) from error
        except AmqpError as error:
            raise BusUnavailableError(str(error)) from error

    # The connection

    async def run(self) -> None:
        """Connect and serve until cancelled."""
        await keep_connected(self._connect, self._serve, BACKOFF)

    async def _connect(self) -> Session | None:
        login = self._nodes.next_login()
        try:
            async with asyncio.timeout(CONNECT_SECONDS):
                return await Session.open(login, self._faults)
        except (OSError, AmqpError, TimeoutError, ssl.SSLError) as error:
            reason, is_refusal = await self._nodes.explained(error, login)
            self._note_failure(reason, is_refusal=is_refusal, attempts=len(self._nodes))
            _log.warning(
                "bus.refused", bus="RABBITMQ", host=login.host, port=login.port, error=reason
            )
            return None

    async def _serve(self, session: Session) -> None:
        """Serve in one session until it ends."""
        try:
            async with asyncio.TaskGroup() as tasks:
                tasks.create_task(watch(session))
                tasks.create_task(run_jobs(session))
                await self._begin(session)
                tasks.create_task(self._send(session))
                tasks.create_task(self._declarations.keep_registry(session))
                tasks.create_task(self._permissions.regain(session))
        except* (AmqpError, TimeoutError) as errors:
            reason = str(first_leaf(errors)) or "RabbitMQ did not answer"
            # RabbitMQ closes the channel on a message that is too large: do not send it again.
            self._max_message_bytes = topology.limit_in(reason) or self._max_message_bytes
            self._permissions.note_refusal(reason)
            _log.warning("bus.disconnected", bus="RABBITMQ", error=reason)
            if not self.is_connected:
                self._note_failure(reason, is_refusal=False)
        finally:
            await self._end(session)

    @staticmethod
    async def _establish(session: Session, subscription: RabbitMqSubscription) -> None:
        async with asyncio.timeout(OPERATION_SECONDS):
            await subscription.establish(session)

    async def _begin(self, session: Session) -> None:
        session.publisher.on_blocked(self._on_blocked)
        await self._declarations.restore(session)
        # More may be added while those are being established.
        while missing := [i for i in self._subscriptions if not i.is_established(session)]:
            async with asyncio.TaskGroup() as tasks:
                for subscription in missing[:_ESTABLISHED_AT_ONCE]:
                    tasks.create_task(self._establish(session, subscription))
        self._session = session
        self._set_connected()
        _log.info("bus.connected", bus="RABBITMQ", url=session.address)

    async def _end(self, session: Session) -> None:
        self._state.end()
        self._on_blocked("")
        self._session = None
        self._outbox.rewind()
        await session.close()

    def _on_blocked(self, reason: str) -> None:
        was_blocked = self._state.block(reason)
        if reason:
            _log.error("bus.blocked", bus="RABBITMQ", reason=reason)
        elif was_blocked:
            _log.info("bus.unblocked", bus="RABBITMQ")

    async def _send(self, session: Session) -> None:
        publishing = Publishing(
            self._outbox,
            session.publishing,
            self._confirmed,
            self._permissions,
            max_message_bytes=self._max_message_bytes,
            persistent=self._persistent,
        )
        while True:
            await self._something_to_send.wait()
            self._something_to_send.clear()
            while self._outbox.is_waiting:
                await session.publisher.writable()
                publishing.send_batch()
                await asyncio.sleep(0)
