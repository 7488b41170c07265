"""The bus on RabbitMQ, on a connection of our own (`amqp/connection.py` says why).

What is published goes out pipelined and in order on one channel, and is kept until RabbitMQ has
confirmed it (rabbitmq.com/docs/confirms); after a lost connection what was not confirmed goes out
again. A refused operation closes its channel, so operations that RabbitMQ may refuse have one of
their own, and so has each subscription until it works; when it closes one of the channels that
publish, all begins anew.
"""

import asyncio
import itertools
import secrets
import ssl
from collections.abc import Awaitable, Callable
from typing import Any, Final, TypeVar

import structlog

from ari_proxy.aio import first_leaf, in_own_task
from ari_proxy.backoff import Backoff
from ari_proxy.bus.amqp.connection import Login
from ari_proxy.bus.amqp.errors import AmqpError, ChannelClosedError, ConnectionLostError
from ari_proxy.bus.base import Handler, Message, Receipt, Right, Verdict
from ari_proxy.bus.buffered import BufferedBus
from ari_proxy.bus.errors import BusRefusedError, BusUnavailableError, NoRespondersError
from ari_proxy.certificate_names import CertificateNames
from ari_proxy.protocol import topics

from . import topology, trials
from .declarations import REFRESH_SECONDS, Declarations
from .options import RabbitMqOptions
from .patterns import PatternInterest
from .publishing import Publishing, Rights
from .queues import RabbitMqQueues
from .session import Session
from .subscriptions import RETRY_BACKOFF, Interest, QueueInterest, TopicInterest

_log = structlog.get_logger()

T = TypeVar("T")
CONNECT_SECONDS: Final = 5.0
#: For RabbitMQ to answer an operation.
OPERATION_SECONDS: Final = 10.0
BACKOFF: Final = Backoff(first_seconds=0.1, last_seconds=5.0)
#: A session that held this long starts the back-off anew.
STABLE_SECONDS: Final = 5.0
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
        #: Between attempts to consume what was refused.
        self.retry_backoff = retry_backoff
        self._options = options
        self._listener = secrets.token_hex(8)
        self._interests: set[Interest] = set()
        self._session: Session | None = None
        self._max_message_bytes = topology.MAX_MESSAGE_BYTES
        self._rights = Rights(self)
        self._names = CertificateNames("bus")
        self._declarations = Declarations(
            options.registry,
            self,
            check_right=self._rights.check,
            refresh_seconds=refresh_seconds,
        )
        self.queues = RabbitMqQueues(self._declarations, self._in_session)
        if options.registry:
            for topic, answer in (
                (topology.ALL_LISTS, self._declarations.answer_list),
                (topology.ALL_MISSING, self._bring_back),
            ):
                self._interests.add(TopicInterest(self, topic, answer, group="", manual_ack=False))

    # What others use

    @property
    def max_message_bytes(self) -> int:
        """The largest payload that RabbitMQ takes."""
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
            BusUnavailableError: the connection was lost before the outcome was known.
            BusRefusedError: the account may not publish on the topic, or RabbitMQ does not describe
                the queue; as `MessageTooLargeError` if the message is too large.
        """
        self._check_size(topic, payload)

        async def work(session: Session) -> bool:
            self._rights.check(topic)
            return await session.operations.is_served(topic) and await session.ask(
                topic, payload, keep_seconds=keep_seconds, traceparent=traceparent
            )

        return Receipt(has_listener=await self._in_session(work))

    @staticmethod
    async def _may_be_answered(session: Session, topic: str) -> bool:
        if topics.is_of_dialog(topic):
            # An executor consumes each of them, a moment after it was declared.
            return await session.operations.queue_state(topic) is not None
        return await session.operations.is_served(topic)

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

        async def work(session: Session) -> bytes | None:
            self._rights.check(topic)
            if not await self._may_be_answered(session, topic):
                return None
            # Not longer than somebody waits: it would be executed all the same.
            return await session.request(topic, payload, keep_seconds=timeout_seconds)

        async with self._deadline(topic, timeout_seconds):
            reply = await self._in_session(work)
        if reply is None:
            raise NoRespondersError(topic)
        return reply

    async def try_right(self, right: Right) -> Verdict:
        """Find out whether RabbitMQ lets us do something, without doing it."""
        is_granted = await self._in_session(lambda session: trials.is_granted(session, right))
        return "granted" if is_granted else "refused"

    async def subscribe(
        self, topic: str, handler: Handler, *, group: str = "", manual_ack: bool = False
    ) -> Interest:
        """Call `handler` with every message on `topic`."""
        interest: Interest
        if not topics.is_queue(topic):
            interest = TopicInterest(self, topic, handler, group=group, manual_ack=manual_ack)
        elif "*" in topic:
            interest = PatternInterest(
                self, topic, handler, listener=self._listener, manual_ack=manual_ack
            )
        else:
            interest = QueueInterest(self, topic, handler, manual_ack=manual_ack)
        self._interests.add(interest)
        session = self._session
        if session is not None:
            try:
                await self._establish(session, interest)
            except asyncio.CancelledError:
                self.forget(interest)
                raise
            except (AmqpError, TimeoutError) as error:
                session.fail(error)  # The next one establishes it.
        return interest

    def forget(self, interest: Interest) -> None:
        """Do not establish `interest` in later sessions."""
        self._interests.discard(interest)
        interest.forget_refusals()

    def _bring_back(self, message: Message) -> None:
        """Declare a queue of ours again that a listener has found gone."""
        work = self._declarations.bring_back(topology.queue_of(message.topic))
        if work is not None and self._session is not None:
            self._session.jobs.put_nowait(work)

    async def _in_session(self, work: Callable[[Session], Awaitable[T]]) -> T:
        await self._connected.wait()
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
        loop = asyncio.get_running_loop()
        failures = 0
        for turn in itertools.count(secrets.randbelow(len(self._options.urls))):
            # Nodes in turn, each client beginning with another; what to log in with may change.
            logins = list(self._options.current().logins())
            session = await self._open(logins[turn % len(logins)], attempts=len(logins))
            if session is not None:
                opened_at = loop.time()
                await in_own_task(self._serve(session))
                if loop.time() - opened_at > STABLE_SECONDS:
                    failures = 0
            failures += 1
            await asyncio.sleep(BACKOFF.seconds(failures))

    async def _serve(self, session: Session) -> None:
        """Serve in one session until it ends."""
        try:
            async with asyncio.TaskGroup() as tasks:
                tasks.create_task(self._watch(session))
                tasks.create_task(self._work(session))
                await self._begin(session)
                tasks.create_task(self._send(session))
                tasks.create_task(self._declarations.keep_registry(session))
                tasks.create_task(self._rights.regain(session))
        except* (AmqpError, TimeoutError) as errors:
            reason = str(first_leaf(errors)) or "RabbitMQ did not answer"
            # It closes the channel on a message that is too large; do not send that one again.
            self._max_message_bytes = topology.limit_in(reason) or self._max_message_bytes
            self._rights.take_refusal(reason)
            _log.warning("bus.disconnected", bus="RABBITMQ", error=reason)
            if not self.is_connected:
                self._note_failure(reason, is_refusal=False)
        finally:
            await self._end(session)

    @staticmethod
    async def _establish(session: Session, interest: Interest) -> None:
        async with asyncio.timeout(OPERATION_SECONDS):
            await interest.establish(session)

    async def _open(self, login: Login, *, attempts: int) -> Session | None:
        try:
            async with asyncio.timeout(CONNECT_SECONDS):
                return await Session.open(login)
        except (OSError, AmqpError, TimeoutError, ssl.SSLError) as error:
            untrusted = await self._names.explained(error, (login.host, login.port), login.tls)
            reason = untrusted or str(error) or "no answer"
            is_refusal = bool(untrusted) or topology.is_login_refused(reason)
            self._note_failure(reason, is_refusal=is_refusal, attempts=attempts)
            _log.warning(
                "bus.refused", bus="RABBITMQ", host=login.host, port=login.port, error=reason
            )
            return None

    async def _begin(self, session: Session) -> None:
        session.publisher.on_blocked = self._on_blocked
        await self._declarations.restore(session)
        # More may come while those are being established.
        while missing := [i for i in self._interests if not i.is_established(session)]:
            async with asyncio.TaskGroup() as tasks:
                for interest in missing[:_ESTABLISHED_AT_ONCE]:
                    tasks.create_task(self._establish(session, interest))
        self._session = session
        self._set_connected()
        _log.info("bus.connected", bus="RABBITMQ", url=session.address)

    async def _watch(self, session: Session) -> None:
        """End the session when RabbitMQ, or its silence, has ended it."""
        async with asyncio.TaskGroup() as tasks:
            beats = [
                tasks.create_task(connection.beat())
                for connection in (session.publisher, session.consumer)
            ]
            ends: list[asyncio.Future[Any]] = [*beats, session.failed]
            await asyncio.wait(ends, return_when=asyncio.FIRST_COMPLETED)
            for beat in beats:
                beat.cancel()
        if session.failed.done():
            error = session.failed.result()
            raise error if isinstance(error, AmqpError) else ConnectionLostError(str(error))
        raise ConnectionLostError("RabbitMQ gave no sign of life")

    @staticmethod
    async def _work(session: Session) -> None:
        while True:
            job = await session.jobs.get()
            async with asyncio.timeout(OPERATION_SECONDS):
                await job(session)

    async def _end(self, session: Session) -> None:
        self._connected.clear()
        self._on_blocked("")
        self._session = None
        self._outbox.rewind()
        await session.close()

    def _on_blocked(self, reason: str) -> None:
        if reason:
            _log.error("bus.blocked", bus="RABBITMQ", reason=reason)
        elif self._blocked_by:
            _log.info("bus.unblocked", bus="RABBITMQ")
        self._blocked_by = reason

    async def _send(self, session: Session) -> None:
        publishing = Publishing(
            self._outbox,
            session.publishing,
            self._confirmed.set,
            self._rights,
            max_message_bytes=self._max_message_bytes,
        )
        while True:
            await self._something_to_send.wait()
            self._something_to_send.clear()
            while self._outbox.is_waiting:
                await session.publisher.writable()
                publishing.send_batch()
                await asyncio.sleep(0)
