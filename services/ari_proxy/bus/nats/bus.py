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
from typing import Final

import structlog

from ari_proxy.aio import first_leaf, in_own_task
from ari_proxy.bus.base import Handler, Right, SubscriptionHandle, Verdict
from ari_proxy.bus.buffered import BufferedBus
from ari_proxy.bus.connection_loop import keep_connected
from ari_proxy.bus.receipt import Receipt

from .connection import ConnectFailure, address_of, loss, until_lost
from .errors import DisconnectedError, ending_connection
from .headers import HEADER_BYTES, check_size
from .moving import MovedError, NatsReception, reason_to_move
from .options import NatsOptions, NatsTuning
from .permissions import NatsPermissions
from .publishing import CONFIRM_SECONDS, NatsPublishing
from .reconnect_buffer import ReconnectBuffer
from .replies import Replies
from .requests import NatsRequests
from .rights import verdict
from .servers import Candidates, ClusterClient, Discovered
from .subscription import NatsSubscription
from .subscriptions import NatsSubscriptions
from .succession import NatsSuccession

_log = structlog.get_logger()

_TUNING: Final = NatsTuning()


class NatsBus(BufferedBus):
    """One connection to NATS."""

    #: Core NATS keeps no messages.
    queues: None = None

    def __init__(self, options: NatsOptions, *, tuning: NatsTuning = _TUNING) -> None:
        super().__init__(options.buffer_bytes)
        self._tuning = tuning
        self._client = ClusterClient()
        self._publishing: NatsPublishing | None = None
        self._replies = Replies(options.inbox_prefix, self)
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
        self._reception = NatsReception(
            self._replies,
            requests=self._requests,
            permissions=self._permissions,
            subscriptions=self._subscriptions,
        )
        self._succession = NatsSuccession(
            options, tuning, permissions=self._permissions, reception=self._reception
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
        return self._client.discovered

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
        return await verdict(right, self._requests, self._subscriptions, self._client)

    async def _confirm_some(self) -> None:
        """Return when more may be confirmed than before; do not wait for the next round trip."""
        await self._state.wait_connected()
        if self._publishing is not None:
            await self._publishing.confirm()
        if self._outbox.held_topics:
            await asyncio.sleep(CONFIRM_SECONDS)

    # The connections

    async def run(self) -> None:
        """Connect and serve until cancelled."""
        await keep_connected(self._connect, self._serve, self._tuning.backoff)

    async def _connect(self) -> ClusterClient | None:
        connected = await self._succession.connect(Candidates(self.known_servers))
        if not isinstance(connected, ConnectFailure):
            return connected
        reason, is_refusal, attempts = connected
        self._note_failure(reason, is_refusal=is_refusal, attempts=attempts)
        return None

    async def _serve(self, client: ClusterClient) -> None:
        """Serve on one connection, and on those that take its place, until one is lost."""
        live = [client]
        last = None
        try:
            while last is not live[-1]:
                last = live[-1]
                await in_own_task(self._serve_last(live))
        finally:
            self._state.end()
            self._publishing = None
            self._outbox.rewind()
            for each in live:
                await self._reception.lose(each)

    async def _serve_last(self, live: list[ClusterClient]) -> None:
        """Serve on the last of our connections, and leave the others.

        It ends when that one is lost, or another one is the last by now.
        """
        *former, client = live
        try:
            async with asyncio.TaskGroup() as tasks:
                tasks.create_task(_watch(client))
                await self._begin(client, is_successor=bool(former))
                for each in former:
                    tasks.create_task(self._retire(each, live))
                publishing = self._publishing = self._publish_on(client)
                tasks.create_task(publishing.send_all(self._something_to_send))
                tasks.create_task(publishing.release_held())
                tasks.create_task(publishing.keep_confirming(self._tuning.idle_seconds))
                retry_seconds = self._tuning.denied_seconds
                tasks.create_task(self._subscriptions.retry_denied(client, retry_seconds))
                tasks.create_task(self._move(live, publishing))
        except* MovedError:
            pass
        except* DisconnectedError as errors:
            self._outbox.rewind()
            self._note_loss(client, first_leaf(errors).__cause__, has_other=client is not live[-1])
        finally:
            self._something_to_send.set()

    def _note_loss(
        self, client: ClusterClient, cause: BaseException | None, *, has_other: bool
    ) -> None:
        reason, is_refusal, _ = loss(client, cause)
        _log.warning(
            "bus.disconnected", bus="NATS", buffered_bytes=self.buffered_bytes, error=reason
        )
        if not has_other and (is_refusal or not self.is_connected):
            self._note_failure(reason, is_refusal=is_refusal)

    def _publish_on(self, client: ClusterClient) -> NatsPublishing:
        if (former := self._publishing) is not None:
            buffer = former.buffer
        else:
            buffer = ReconnectBuffer(self._outbox, is_needed=self.reconnects > 0)
        return NatsPublishing(
            client,
            outbox=self._outbox,
            requests=self._requests,
            permissions=self._permissions,
            replies=self._replies,
            buffer=buffer,
        )

    @property
    def wants_reports(self) -> bool:
        """Whether the server is to report events that no listener got.

        A stream that records events would answer each: then there are no reports.
        """
        return self._on_unheard is not None and not self._requests.are_recorded

    async def _begin(self, client: ClusterClient, *, is_successor: bool) -> None:
        self._use(client)
        with ending_connection():
            if is_successor:  # What was subscribed while it began.
                await self._subscriptions.establish_all(client)
                return
            self._permissions.begin()
            await self._reception.begin(client)
        self._set_connected()
        _log.info("bus.connected", bus="NATS", url=address_of(client))

    def _use(self, client: ClusterClient) -> None:
        self._client = client
        self._requests.attach(client)

    # Moving

    async def _move(self, live: list[ClusterClient], publishing: NatsPublishing) -> None:
        """Move to another connection once there is a reason to.

        Raises:
            MovedError: the last of our connections is another one by now.
            DisconnectedError: the last one is lost.
        """
        client = live[-1]
        await reason_to_move(client, self._tuning.renewal_seconds)
        await self._subscriptions.until_moved()  # The former move has to be over.
        live.append(successor := await self._succession.successor(client))
        await publishing.finish()
        with ending_connection():
            await self._reception.cross(client)
        self._use(successor)
        _log.info("bus.moved", bus="NATS", url=address_of(successor))
        raise MovedError

    async def _retire(self, client: ClusterClient, live: list[ClusterClient]) -> None:
        await self._reception.retire(client, live[-1])
        live.remove(client)


async def _watch(client: ClusterClient) -> None:
    """End the connection when nats-py has found it dead.

    Raises:
        DisconnectedError: it is lost.
    """
    await until_lost(client)
    raise DisconnectedError
