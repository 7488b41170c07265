"""The outbox on one connection to NATS: sent in order, confirmed by round trips."""

import asyncio
import contextlib
from typing import Final

import structlog

from ari_proxy.bus.errors import MessageTooLargeError
from ari_proxy.bus.outbox import Outbox
from ari_proxy.protocol import topics

from .errors import ending_connection, port_errors
from .headers import header_bytes_of, headers_of
from .permissions import NatsPermissions
from .reconnect_buffer import ReconnectBuffer
from .replies import Replies
from .requests import ROUND_TRIP_SECONDS, NatsRequests
from .servers import ClusterClient

_log = structlog.get_logger()

#: Seconds between round trips while messages are unconfirmed: bounds how many are sent twice.
CONFIRM_SECONDS: Final = 0.05
#: Messages sent in one go, before other tasks get a turn.
BATCH: Final = 256


class NatsPublishing:
    """Sends what the outbox holds, until the connection is lost."""

    def __init__(
        self,
        client: ClusterClient,
        *,
        outbox: Outbox,
        requests: NatsRequests,
        permissions: NatsPermissions,
        replies: Replies,
        buffer: ReconnectBuffer,
    ) -> None:
        """Make it for a connection.

        Args:
            client: the connection.
            outbox: what is published.
            requests: for round trips on this connection.
            permissions: of our account.
            replies: get the server's reports of events that had no listener.
            buffer: of messages whose listeners may need time to come back as well.
        """
        self._client = client
        self._outbox = outbox
        self._requests = requests
        self._permissions = permissions
        self._replies = replies
        self._buffer = buffer
        self._something_to_confirm = asyncio.Event()
        #: Held for a batch, and for a round of probes.
        self._sending = asyncio.Lock()
        self._probing = asyncio.Lock()

    @property
    def buffer(self) -> ReconnectBuffer:
        """The messages that are held back for a listener, whatever the connection."""
        return self._buffer

    async def finish(self) -> None:
        """Send nothing more; return when the server has confirmed what was sent.

        Raises:
            DisconnectedError: the connection is lost.
        """
        # For good: whoever waits for them must not send here what comes after.
        await self._probing.acquire()
        await self._sending.acquire()
        with ending_connection():
            async with asyncio.timeout(ROUND_TRIP_SECONDS):
                await self.confirm()

    async def send_all(self, something_to_send: asyncio.Event) -> None:
        """Send messages as they come, until cancelled.

        Raises:
            DisconnectedError: the connection is lost.
        """
        while True:
            await something_to_send.wait()
            something_to_send.clear()
            while self._outbox.is_waiting:
                async with self._sending:
                    with ending_connection(), port_errors():
                        await self._send_batch()
                self._something_to_confirm.set()
                await asyncio.sleep(0)

    async def _send_batch(self) -> None:
        outbox, prefix, client = self._outbox, self._replies.report_prefix, self._client
        for _ in range(BATCH):
            if not outbox.is_waiting:
                return
            topic, payload, reply, _, traceparent, number = outbox.next()
            size = len(payload) + header_bytes_of(traceparent)
            # Before it is held back, too: it must be valid once its listener comes.
            if size > client.max_payload:
                self._refuse_last(topic, size)
            elif self._buffer.is_over or not self._buffer.hold_back(topic):
                self._permissions.note_sent(topic)
                reply = reply or _report_subject(prefix, topic, number)
                await client.publish(topic, payload, reply, headers_of(traceparent))

    def _refuse_last(self, topic: str, size: int) -> None:
        """Drop the message that the outbox returned last: the server would end the connection."""
        self._outbox.refuse_last()
        error = MessageTooLargeError(topic, size, self._client.max_payload)
        _log.error("bus.message_too_large", topic=topic, error=str(error))

    async def release_held(self) -> None:
        """Send what is held back for a listener as soon as it has come back.

        Raises:
            DisconnectedError: the connection is lost.
        """
        with ending_connection():
            await self._buffer.watch(self, self._probing)

    async def probe(self, messages: list[tuple[str, bytes]]) -> list[bool]:
        """Send messages in one go; return for each whether it had a listener."""
        async with asyncio.timeout(ROUND_TRIP_SECONDS):
            return await self._requests.probe(messages)

    async def send(self, topic: str, payload: bytes) -> None:
        """Send a message that the outbox counts as sent."""
        self._permissions.note_sent(topic)
        with port_errors():
            await self._client.publish(topic, payload)
        self._something_to_confirm.set()

    async def keep_confirming(self, idle_seconds: float) -> None:
        """Confirm what was sent, until cancelled; check an idle connection now and then.

        Raises:
            DisconnectedError: the connection is lost.
        """
        while True:
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(idle_seconds):
                    await self._something_to_confirm.wait()
            self._something_to_confirm.clear()
            with ending_connection():
                async with asyncio.timeout(ROUND_TRIP_SECONDS):
                    await self.confirm()
            await asyncio.sleep(CONFIRM_SECONDS)

    async def confirm(self) -> None:
        """Confirm what was sent so far.

        Raises:
            BusUnavailableError: the connection is lost.
        """
        count, sent = self._outbox.sent_count, self._permissions.sent()
        await self._requests.round_trip(client=self._client)
        self._outbox.confirm(count)
        self._permissions.confirm(sent)


def _report_subject(prefix: str, topic: str, number: int) -> str:
    """Return where the server reports that nobody got an event of a dialog; '' for nowhere."""
    return f"{prefix}{number}" if prefix and topics.is_fleeting(topic) else ""
