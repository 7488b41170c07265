"""The bus on NATS, with nats-py.

nats-py's own reconnecting is off: it loses what was in its socket's buffer, gives up or goes deaf
after some kinds of failure. Instead `run` opens a new connection each time, subscribes again and
sends again what the server has not confirmed.

A *round trip* (a message to our own inbox) is confirmation, flush and sign of life in one: the
server handles a connection's messages in order, so what comes back proves that all before it was
handled. The same trick tells that somebody listens: the server answers a message with a reply
subject that nobody takes by a status 503 (NATS "no responders"), and that comes back before the
round trip does.
"""

import asyncio
import contextlib
from collections.abc import Mapping
from typing import Final

import structlog
from nats.aio.client import Client
from nats.aio.subscription import Subscription as NatsSubscription

from ari_proxy.aio import first_leaf, in_own_task
from ari_proxy.bus.base import Handler, Receipt, Right, Verdict
from ari_proxy.bus.buffered import BufferedBus
from ari_proxy.bus.errors import BusRefusedError, BusUnavailableError, MessageTooLargeError
from ari_proxy.certificate_names import CertificateNames

from .connection import Failure, address_of, attempt, discard
from .errors import port_errors
from .options import NatsOptions, NatsTuning
from .permissions import Rights
from .reconnect_buffer import Returning
from .replies import Replies
from .requests import Asking
from .servers import ClusterClient, Discovered
from .subscription import HEADER_BYTES, Interest, header_bytes_of, headers_of

_log = structlog.get_logger()

#: A connection on which no round trip comes back within this time is dead.
ROUND_TRIP_SECONDS: Final = 5.0
#: Seconds between round trips when there is something to confirm: bounds what is sent twice.
CONFIRM_SECONDS: Final = 0.05
#: A connection that held this long starts the back-off anew.
STABLE_SECONDS: Final = 5.0
#: Messages sent in one go, before other tasks get a turn.
BATCH: Final = 256
_TUNING: Final = NatsTuning()
_VERDICTS: Final[Mapping[bool, Verdict]] = {True: "granted", False: "refused"}


class _DisconnectedError(Exception):
    """The connection is gone; ends the tasks that served it."""


class NatsBus(BufferedBus):
    """One connection to NATS."""

    #: Core NATS keeps no messages.
    queues: None = None

    def __init__(self, options: NatsOptions, *, tuning: NatsTuning = _TUNING) -> None:
        super().__init__(options.buffer_bytes)
        self._options = options
        self._tuning = tuning
        self._something_to_confirm = asyncio.Event()
        self._client = ClusterClient()
        self._interests: set[Interest] = set()
        #: Servers that one of the cluster has told of, beside those of the options.
        self._discovered: tuple[Discovered, ...] = ()
        self._replies = Replies(options.inbox_prefix)
        self._names = CertificateNames("bus")
        self._asking = Asking(self._replies, self._faults)
        self._rights = Rights(
            self,
            self._interests,
            replies=self._replies,
            outbox=self._outbox,
            faults=self._faults,
        )

    # What others use

    @property
    def max_message_bytes(self) -> int:
        """The largest payload that the server takes; NATS's default before it has told."""
        return self._client.max_payload - HEADER_BYTES

    def _check_size(self, topic: str, payload: bytes, traceparent: str = "") -> None:
        """Refuse what would have the server end the connection."""
        size = len(payload) + header_bytes_of(traceparent)
        if size > self._client.max_payload:
            raise MessageTooLargeError(topic, size, self._client.max_payload)

    @property
    def known_servers(self) -> tuple[Discovered, ...]:
        """The servers of the cluster that one of them has told of last."""
        return self._client.discovered if self.is_connected else self._discovered

    async def publish_to_listener(
        self,
        topic: str,
        payload: bytes,
        *,
        keep_seconds: float | None = None,  # noqa: ARG002
        traceparent: str = "",
    ) -> Receipt:
        """Send a message now; the outcome is false if there was no listener.

        Raises:
            BusUnavailableError: the connection was lost before the outcome was known.
            BusRefusedError: the account may not publish on the topic; as `MessageTooLargeError` if
                the message is too large.
        """
        await self._connected.wait()
        self._check_size(topic, payload, traceparent)
        return await self._asking.offer(topic, payload, traceparent)

    async def request(self, topic: str, payload: bytes, *, timeout_seconds: float) -> bytes:
        """Send a message and return the first reply to it.

        Raises:
            NoRespondersError: the topic has no listener.
            BusTimeoutError: no reply in time.
            BusUnavailableError: no connection in time, or it was lost.
            BusRefusedError: the account may not publish on the topic; as `MessageTooLargeError` if
                the message is too large.
        """
        async with self._deadline(topic, timeout_seconds):
            await self._connected.wait()
            self._check_size(topic, payload)
            return await self._asking.request(topic, payload)

    async def subscribe(
        self,
        topic: str,
        handler: Handler,
        *,
        group: str = "",
        manual_ack: bool = False,  # noqa: ARG002
    ) -> Interest:
        """Call `handler` with every message on `topic`."""
        interest = self._interest(topic, handler, group)
        self._interests.add(interest)
        try:
            if self.is_connected:
                with contextlib.suppress(BusUnavailableError, BusRefusedError, TimeoutError):
                    await interest.establish(self._client)
                    await self._round_trip_in_time()
        except asyncio.CancelledError:
            self.forget(interest)  # Nobody has it who could end it.
            await interest.abandon()
            raise
        return interest

    async def try_right(self, right: Right) -> Verdict:
        """Find out whether the server lets us do something, without doing it."""
        await self._connected.wait()
        try:
            async with asyncio.timeout(ROUND_TRIP_SECONDS):
                return await self._verdict(right)
        except TimeoutError as error:
            raise BusUnavailableError("NATS did not answer") from error

    async def _verdict(self, right: Right) -> Verdict:
        match right.action:
            case "publish":
                may_publish = await self._asking.may_publish(right.topic)
                return "unknown" if may_publish is None else _VERDICTS[may_publish]
            case "answer":
                return _VERDICTS[await self._asking.may_answer(right.topic)]
            case "declare":
                return "granted"
        return _VERDICTS[await self._may_subscribe(right.topic)]

    async def _may_subscribe(self, topic: str) -> bool:
        interest = self._interest(topic, lambda _: None)
        self._interests.add(interest)
        try:
            # In one go: nobody is to take it for a listener.
            await interest.establish(self._client)
            await interest.abandon()
            await self._round_trip()
            return not interest.is_denied
        finally:
            self.forget(interest)

    def _interest(self, topic: str, handler: Handler, group: str = "") -> Interest:
        pending = self._tuning.pending_messages
        return Interest(self, topic, handler, group=group, pending_messages=pending)

    def forget(self, interest: Interest) -> None:
        """Do not establish `interest` on later connections."""
        self._interests.discard(interest)
        if interest.is_denied:
            self._rights.allow("subscribe", interest.topic)

    async def end(self, client: Client, subscription: NatsSubscription) -> None:
        """End a subscription and handle what the server has sent for it: a group would lose it."""
        with contextlib.suppress(BusUnavailableError, BusRefusedError, TimeoutError), port_errors():
            async with asyncio.timeout(ROUND_TRIP_SECONDS):
                # Not nats-py's drain: its PING overtakes the UNSUB, and if the wait for the PONG
                # is cancelled the PONG ends the connection.
                await client._send_unsubscribe(subscription._id)  # noqa: SLF001
                await self._round_trip()
                while subscription.pending_msgs:  # noqa: ASYNC110  its own task handles them
                    await asyncio.sleep(0)
                await subscription.unsubscribe()

    async def _confirm_some(self) -> None:
        """Return when more may be confirmed than before; do not wait for the next round trip."""
        await self._connected.wait()
        await self._confirm()
        if self._outbox.parked_topics:
            await asyncio.sleep(CONFIRM_SECONDS)

    # The connection

    async def run(self) -> None:
        """Connect and serve until cancelled."""
        loop = asyncio.get_running_loop()
        failures = 0
        while True:
            options = self._options.current()
            attempted = await attempt(
                options,
                self._tuning,
                self._rights.take_error,
                self._names,
                self._discovered,
            )
            if isinstance(attempted, Failure):
                self._note_failure(
                    attempted.reason,
                    is_refusal=attempted.is_refusal,
                    attempts=len(options.urls),
                )
            else:
                begun_at = loop.time()
                await in_own_task(self._serve(attempted))
                self._discovered = attempted.discovered
                if loop.time() - begun_at > STABLE_SECONDS:
                    failures = 0
                    continue
            failures += 1
            await asyncio.sleep(self._tuning.backoff.seconds(failures))

    async def _serve(self, client: ClusterClient) -> None:
        """Serve on one connection until it is lost."""
        try:
            async with asyncio.TaskGroup() as tasks:
                tasks.create_task(self._watch(client))
                await self._begin(client)
                returning = Returning(self._outbox, is_needed=self.reconnects > 0)
                tasks.create_task(self._send(client, returning))
                tasks.create_task(self._let_return(returning))
                tasks.create_task(self._keep_confirming())
                tasks.create_task(self._try_denied_again(client))
        except* _DisconnectedError as errors:
            cause = first_leaf(errors).__cause__
            reason = str(cause or client.last_error or "the connection was lost")
            _log.warning(
                "bus.disconnected", bus="NATS", buffered_bytes=self.buffered_bytes, error=reason
            )
            if not self.is_connected:
                self._note_failure(reason, is_refusal=isinstance(cause, BusRefusedError))
        finally:
            await self._end(client)

    async def _begin(self, client: ClusterClient) -> None:
        self._client = self._asking.client = client
        self._rights.begin()
        try:
            with port_errors():
                await client.subscribe(self._replies.pattern, cb=self._replies.take)
            await self._round_trip_in_time()  # Tells whether we may have an inbox.
            # More may come while the server has not yet confirmed those.
            while missing := [i for i in self._interests if not i.is_established(client)]:
                for interest in missing:
                    await interest.establish(client)
                    if interest not in self._interests:  # It was ended meanwhile.
                        await interest.unsubscribe()
                # Not nats-py's flush: its PING overtakes what waits to be sent.
                await self._round_trip_in_time()
        except (BusUnavailableError, BusRefusedError, TimeoutError) as error:
            raise _DisconnectedError from error
        self._set_connected()
        _log.info("bus.connected", bus="NATS", url=address_of(client))

    async def _end(self, client: Client) -> None:
        self._connected.clear()
        self._replies.lose()
        self._outbox.rewind()
        await discard(client)

    async def _let_return(self, returning: Returning) -> None:
        try:
            await returning.watch(self)
        except (BusUnavailableError, BusRefusedError, TimeoutError) as error:
            raise _DisconnectedError from error

    async def probe(self, messages: list[tuple[str, bytes]]) -> list[bool]:
        """Send messages in one go; return of each whether somebody got it."""
        async with asyncio.timeout(ROUND_TRIP_SECONDS):
            return await self._asking.probe(messages)

    async def send(self, topic: str, payload: bytes) -> None:
        """Send a message that is in the outbox already."""
        self._rights.note_sent(topic)
        with port_errors():
            await self._client.publish(topic, payload)
        self._something_to_confirm.set()

    async def _send(self, client: Client, returning: Returning) -> None:
        while True:
            await self._something_to_send.wait()
            self._something_to_send.clear()
            while self._outbox.is_waiting:
                try:
                    with port_errors():
                        await self._send_batch(client, returning)
                except (BusUnavailableError, TimeoutError) as error:
                    raise _DisconnectedError from error
                self._something_to_confirm.set()
                await asyncio.sleep(0)

    async def _send_batch(self, client: Client, returning: Returning) -> None:
        outbox = self._outbox
        for _ in range(BATCH):
            if not outbox.is_waiting:
                return
            topic, payload, reply, _, traceparent, _ = outbox.next()
            try:
                # Before it is parked, too: what waits for a listener has to be taken then.
                self._check_size(topic, payload, traceparent)
            except MessageTooLargeError as error:
                outbox.refuse_last()
                _log.error("bus.message_too_large", topic=topic, error=str(error))
                continue
            if not returning.is_over and returning.holds_back(topic):
                continue
            self._rights.note_sent(topic)
            await client.publish(topic, payload, reply, headers_of(traceparent))

    async def _keep_confirming(self) -> None:
        """Confirm what was sent; with nothing sent, look now and then if the server is alive."""
        while True:
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(self._tuning.idle_seconds):
                    await self._something_to_confirm.wait()
            self._something_to_confirm.clear()
            try:
                async with asyncio.timeout(ROUND_TRIP_SECONDS):
                    await self._confirm()
            except (TimeoutError, BusUnavailableError, BusRefusedError) as error:
                raise _DisconnectedError from error
            await asyncio.sleep(CONFIRM_SECONDS)

    async def _watch(self, client: Client) -> None:
        """End the connection when nats-py has found it dead."""
        while client.is_connected:  # noqa: ASYNC110  nats-py tells only after closing the socket
            await asyncio.sleep(CONFIRM_SECONDS)
        raise _DisconnectedError

    async def _confirm(self) -> None:
        mark, sent = self._outbox.mark(), self._rights.denied.sent()
        await self._round_trip()
        self._outbox.confirm(mark)
        self._rights.confirm(sent)

    async def _round_trip_in_time(self) -> None:
        async with asyncio.timeout(ROUND_TRIP_SECONDS):
            await self._round_trip()

    async def _round_trip(self) -> None:
        await self._asking.round_trip()

    async def _try_denied_again(self, client: Client) -> None:
        """Listen to what was refused as soon as the server lets us: rights may change."""
        while True:
            await asyncio.sleep(self._tuning.denied_seconds)
            for interest in [interest for interest in self._interests if interest.is_denied]:
                await self._establish_again(client, interest)

    async def _establish_again(self, client: Client, interest: Interest) -> None:
        await interest.abandon()
        try:
            await interest.establish(client)
            await self._round_trip_in_time()
        except (BusUnavailableError, BusRefusedError, TimeoutError) as error:
            raise _DisconnectedError from error
        if not interest.is_denied:
            self._rights.allow("subscribe", interest.topic)
