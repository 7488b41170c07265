"""What a NATS connection is asked for: topics to listen to, and replies to single messages."""

import asyncio
from typing import TYPE_CHECKING, Final, Self

import nats.errors
from nats.aio.client import Client
from nats.aio.msg import Msg
from nats.aio.subscription import Subscription as NatsSubscription

from ari_proxy.protocol.messages import TRACEPARENT

from .base import Handler, Message
from .errors import BusUnavailableError

if TYPE_CHECKING:
    from .nats import NatsBus


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

    def __init__(self, bus: "NatsBus", topic: str, handler: Handler, group: str) -> None:
        self.topic = topic
        self.group = group
        self._bus = bus
        self._handler = handler
        self._live: NatsSubscription | None = None
        self._client: Client | None = None

    async def _handle(self, message: Msg) -> None:
        headers = message.headers
        traceparent = headers.get(TRACEPARENT, "") if headers else ""
        self._handler(
            Message(message.subject, message.data, message.reply, traceparent=traceparent)
        )

    def is_established(self, client: Client) -> bool:
        """Return whether this connection has it."""
        return self._client is client

    async def establish(self, client: Client) -> None:
        """Subscribe on a new connection."""
        self._client = client
        self._live = await client.subscribe(self.topic, queue=self.group, cb=self._handle)

    async def unsubscribe(self) -> None:
        """End the subscription."""
        self._bus.forget(self)
        live, self._live = self._live, None
        if live is not None and self._client is not None:
            await self._bus.end(self._client, live)


class Reply:
    """A reply that is awaited within a `with` block; nats-py's errors become the port's there."""

    __slots__ = ("_awaited", "inbox", "message")

    def __init__(self, awaited: dict[str, asyncio.Future[Msg]], inbox: str) -> None:
        self._awaited = awaited
        self.inbox = inbox
        self.message: asyncio.Future[Msg] = asyncio.get_running_loop().create_future()

    def __enter__(self) -> Self:
        self._awaited[self.inbox] = self.message
        return self

    def __exit__(self, kind: object, error: BaseException | None, traceback: object) -> None:
        del self._awaited[self.inbox]
        self.message.cancel()
        if isinstance(error, (nats.errors.Error, OSError)) and not isinstance(error, TimeoutError):
            raise BusUnavailableError("the connection to NATS was lost") from error
