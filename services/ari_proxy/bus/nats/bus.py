"""The bus on NATS, with nats-py.

nats-py's own reconnecting is switched off: it loses the contents of its socket buffer, and after
some kinds of failure it gives up or stops receiving. Instead `run` opens a new connection each
time, subscribes again, and sends unconfirmed messages again.

A *round trip* (a message to our own inbox) is confirmation, flush and liveness check in one: the
server handles a connection's messages in order, so once it returns everything before it was
handled. It also shows whether a message had a listener: if not, the server answers the message's
reply subject with status 503 (NATS "no responders") before the round trip returns.
"""

import asyncio
from collections.abc import Mapping
from typing import Final

import structlog

from ari_proxy.aio import first_leaf
from ari_proxy.bus.base import Handler, Right, SubscriptionHandle, Verdict
from ari_proxy.bus.buffered import BufferedBus
from ari_proxy.bus.connection_loop import keep_connected
from ari_proxy.bus.errors import BusRefusedError, BusUnavailableError
from ari_proxy.bus.receipt import Receipt
from ari_proxy.certificate_names import CertificateNames

from .connection import (
    ConnectFailure,
    address_of,
    attempt,
    discard,
    expiry,
    is_login_refusal,
)
from .errors import DisconnectedError, ending_connection, port_errors
from .headers import HEADER_BYTES, check_size
from .options import NatsOptions, NatsTuning
from .permissions import NatsPermissions
from .publishing import CONFIRM_SECONDS, NatsPublishing
from .replies import Replies
from .requests import ROUND_TRIP_SECONDS, NatsRequests
from .servers import ClusterClient, Discovered
from .subscription import NatsSubscription
from .subscriptions import NatsSubscriptions

_log = structlog.get_logger()

_TUNING: Final = NatsTuning()
_VERDICTS: Final[Mapping[bool, Verdict]] = {True: "granted", False: "refused"}


class NatsBus(BufferedBus):
    """One connection to NATS."""

    #: Core NATS keeps no messages.
    queues: None = None

    def __init__(self, options: NatsOptions, *, tuning: NatsTuning = _TUNING) -> None:
        super().__init__(options.buffer_bytes)
        self._options = options
        self._tuning = tuning
        self._client = ClusterClient()
        self._publishing: NatsPublishing | None = None
        #: Servers that the cluster has announced, beside those of the options.
        self._discovered: tuple[Discovered, ...] = ()
        self._replies = Replies(options.inbox_prefix, self)
        self._names = CertificateNames("bus")
        active: set[NatsSubscription] = set()
        self._permissions = NatsPermissions(
            self._refusals,
            active,
            replies=self._replies,
            outbox=self._outbox,
            faults=self._faults,
        )
        self._requests = NatsRequests(self._replies, self._permissions, self._faults)
        self._subscriptions = NatsSubscriptions(
            active,
            permissions=self._permissions,
            requests=self._requests,
            faults=self._faults,
            pending_messages=tuning.pending_messages,
        )

    # The port

    @property
    def max_message_bytes(self) -> int:
        """The largest payload that the server accepts; NATS's default until it is known."""
        return self._client.max_payload - HEADER_BYTES

    def _check_size(self, topic: str, payload: bytes, traceparent: str = "") -> None:
        check_size(topic, payload, traceparent, self._client.max_payload)

    @property
    def known_servers(self) -> tuple[Discovered, ...]:
        """The servers of the cluster, as announced last."""
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
        await self._state.wait_connected()
        self._check_size(topic, payload, traceparent)
        return await self._requests.publish_to_listener(topic, payload, traceparent)

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
            await self._state.wait_connected()
            self._check_size(topic, payload)
            return await self._requests.request(topic, payload)

    async def subscribe(
        self,
        topic: str,
        handler: Handler,
        *,
        group: str = "",
        manual_ack: bool = False,  # noqa: ARG002
    ) -> SubscriptionHandle:
        """Call `handler` with every message on `topic`."""
        client = self._client if self.is_connected else None
        return await self._subscriptions.subscribe(topic, handler, group, client)

    async def try_right(self, right: Right) -> Verdict:
        """Check whether the server grants a right, without a visible effect on anyone.

        Raises:
            BusUnavailableError: the connection was lost before the answer came.
        """
        await self._state.wait_connected()
        try:
            async with asyncio.timeout(ROUND_TRIP_SECONDS):
                return await self._verdict(right)
        except TimeoutError as error:
            raise BusUnavailableError("NATS did not answer") from error

    async def _verdict(self, right: Right) -> Verdict:
        match right.action:
            case "publish":
                may_publish = await self._requests.may_publish(right.topic)
                return "unknown" if may_publish is None else _VERDICTS[may_publish]
            case "answer":
                return _VERDICTS[await self._requests.may_answer(right.topic)]
            case "declare":
                return "granted"
        return _VERDICTS[await self._subscriptions.is_permitted(right.topic, self._client)]

    async def _confirm_some(self) -> None:
        """Return when more may be confirmed than before; do not wait for the next round trip."""
        await self._state.wait_connected()
        if self._publishing is not None:
            await self._publishing.confirm()
        if self._outbox.held_topics:
            await asyncio.sleep(CONFIRM_SECONDS)

    # The connection

    async def run(self) -> None:
        """Connect and serve until cancelled."""
        await keep_connected(self._connect, self._serve, self._tuning.backoff)

    async def _connect(self) -> ClusterClient | None:
        options = self._options.current()
        attempted = await attempt(
            options,
            self._tuning,
            self._permissions.handle_error,
            self._names,
            self._discovered,
        )
        if not isinstance(attempted, ConnectFailure):
            return attempted
        self._note_failure(
            attempted.reason, is_refusal=attempted.is_refusal, attempts=len(options.urls)
        )
        return None

    async def _serve(self, client: ClusterClient) -> None:
        """Serve on one connection until it is lost."""
        try:
            async with asyncio.TaskGroup() as tasks:
                tasks.create_task(_watch(client))
                await self._begin(client)
                publishing = self._publishing = self._publish_on(client)
                tasks.create_task(publishing.send_all(self._something_to_send))
                tasks.create_task(publishing.release_held())
                tasks.create_task(publishing.keep_confirming(self._tuning.idle_seconds))
                retry_seconds = self._tuning.denied_seconds
                tasks.create_task(self._subscriptions.retry_denied(client, retry_seconds))
        except* DisconnectedError as errors:
            self._note_loss(client, first_leaf(errors).__cause__)
        finally:
            await self._end(client)

    def _note_loss(self, client: ClusterClient, cause: BaseException | None) -> None:
        error = str(cause or client.last_error or "the connection was lost")
        expired = expiry(client)
        reason = expired or error
        _log.warning(
            "bus.disconnected", bus="NATS", buffered_bytes=self.buffered_bytes, error=reason
        )
        is_refusal = bool(expired) or isinstance(cause, BusRefusedError) or is_login_refusal(error)
        if is_refusal or not self.is_connected:
            self._note_failure(reason, is_refusal=is_refusal)

    def _publish_on(self, client: ClusterClient) -> NatsPublishing:
        return NatsPublishing(
            client,
            outbox=self._outbox,
            requests=self._requests,
            permissions=self._permissions,
            replies=self._replies,
            is_reconnect=self.reconnects > 0,
        )

    @property
    def wants_reports(self) -> bool:
        """Whether the server is to report events that no listener got.

        A stream that records events would answer each: then there are no reports.
        """
        return self._on_unheard is not None and not self._requests.are_recorded

    async def _begin(self, client: ClusterClient) -> None:
        self._client = client
        self._requests.attach(client)
        self._permissions.begin()
        with ending_connection():
            with port_errors():
                await client.subscribe(self._replies.pattern, cb=self._requests.receive)
            await self._requests.round_trip_in_time()  # Shows whether we may have an inbox.
            await self._subscriptions.establish_all(client)
        self._set_connected()
        _log.info("bus.connected", bus="NATS", url=address_of(client))

    async def _end(self, client: ClusterClient) -> None:
        self._state.end()
        self._publishing = None
        self._replies.lose()
        self._outbox.rewind()
        self._discovered = client.discovered
        await discard(client)


async def _watch(client: ClusterClient) -> None:
    """End the connection when nats-py has found it dead.

    Raises:
        DisconnectedError: it is lost.
    """
    while client.is_connected:  # noqa: ASYNC110  nats-py reports it only after closing the socket
        await asyncio.sleep(CONFIRM_SECONDS)
    raise DisconnectedError
