"""What a NATS connection is asked for: topics to listen to."""

import contextlib
from typing import TYPE_CHECKING, Final

from nats.aio.client import Client
from nats.aio.msg import Msg
from nats.aio.subscription import Subscription as NatsSubscription

from ari_proxy.bus.base import Handler, Message
from ari_proxy.bus.errors import BusUnavailableError
from ari_proxy.protocol.messages import TRACEPARENT

from .errors import port_errors

if TYPE_CHECKING:
    from .bus import NatsBus


#: What may wait for a handler, beside the number of messages (`NatsTuning`).
PENDING_BYTES: Final = 128 * 1024 * 1024
#: A header's lines around `name: value` (NATS's protocol, HPUB).
_AROUND_BYTES: Final = len("NATS/1.0\r\n" + ": " + "\r\n" + "\r\n")
#: A `traceparent` has one length (W3C Trace Context).
HEADER_BYTES: Final = _AROUND_BYTES + len(TRACEPARENT) + 55


def header_bytes_of(traceparent: str) -> int:
    """Return how much of what the server allows for a message goes into its headers."""
    return _AROUND_BYTES + len(TRACEPARENT) + len(traceparent) if traceparent else 0


def headers_of(traceparent: str) -> dict[str, str] | None:
    """Return the headers of a message, or None if it needs none."""
    return {TRACEPARENT: traceparent} if traceparent else None


class Interest:
    """A subscription that outlives connections."""

    def __init__(
        self, bus: "NatsBus", topic: str, handler: Handler, *, group: str, pending_messages: int
    ) -> None:
        self.topic = topic
        self.group = group
        self._bus = bus
        self._handler = handler
        self._pending_messages = pending_messages
        self._live: NatsSubscription | None = None
        self._client: Client | None = None
        #: The server does not let our account have it.
        self.is_denied = False

    async def _handle(self, message: Msg) -> None:
        headers = message.headers
        traceparent = headers.get(TRACEPARENT, "") if headers else ""
        self._bus.handle(
            Message(message.subject, message.data, message.reply, traceparent=traceparent),
            self._handler,
        )

    def is_established(self, client: Client) -> bool:
        """Return whether this connection has it."""
        return self._client is client

    async def establish(self, client: Client) -> None:
        """Subscribe on a connection.

        Raises:
            BusUnavailableError: it was lost.
        """
        self._client = client
        self.is_denied = False
        with port_errors():
            self._live = await client.subscribe(
                self.topic,
                queue=self.group,
                cb=self._handle,
                pending_msgs_limit=self._pending_messages,
                pending_bytes_limit=PENDING_BYTES,
            )

    async def abandon(self) -> None:
        """End it on its connection at once; what the server has sent for it may be lost."""
        live, self._live = self._live, None
        if live is not None:
            with contextlib.suppress(BusUnavailableError), port_errors():
                await live.unsubscribe()

    async def unsubscribe(self) -> None:
        """End the subscription."""
        self._bus.forget(self)
        live, self._live = self._live, None
        if live is not None and self._client is not None:
            await self._bus.end(self._client, live)
