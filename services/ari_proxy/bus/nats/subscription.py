"""One subscription on NATS, across connections."""

import contextlib
from typing import Final, Protocol

from nats.aio.client import Client
from nats.aio.msg import Msg
from nats.aio.subscription import Subscription

from ari_proxy.bus.base import Handler, Message
from ari_proxy.bus.errors import BusUnavailableError
from ari_proxy.bus.faults import Faults
from ari_proxy.protocol.messages import TRACEPARENT

from .errors import port_errors

#: Bound of the messages that wait for a handler, beside their number (`NatsTuning`).
PENDING_BYTES: Final = 128 * 1024 * 1024


class NatsSubscriptionOwner(Protocol):
    """The collection that a subscription belongs to."""

    def forget(self, subscription: "NatsSubscription") -> None:
        """Do not establish a subscription on later connections."""

    async def end(self, client: Client, live: Subscription) -> None:
        """End a subscription of a connection, and handle what the server has sent for it."""


class NatsSubscription:
    """A subscription that outlives connections."""

    def __init__(
        self,
        topic: str,
        handler: Handler,
        *,
        group: str,
        owner: NatsSubscriptionOwner,
        faults: Faults,
        pending_messages: int,
    ) -> None:
        self.topic = topic
        self.group = group
        self._owner = owner
        self._faults = faults
        self._handler = handler
        self._pending_messages = pending_messages
        self._live: Subscription | None = None
        self._client: Client | None = None
        self._is_denied = False

    @property
    def is_denied(self) -> bool:
        """True if the server refuses it to our account."""
        return self._is_denied

    def deny(self) -> None:
        """Note that the server refuses it."""
        self._is_denied = True

    async def _handle(self, message: Msg) -> None:
        headers = message.headers
        traceparent = headers.get(TRACEPARENT, "") if headers else ""
        self._faults.run(
            self._handler,
            Message(message.subject, message.data, message.reply, traceparent=traceparent),
        )

    def is_established(self, client: Client) -> bool:
        """Return whether it is established on a connection."""
        return self._client is client

    async def establish(self, client: Client) -> None:
        """Subscribe on a connection.

        Raises:
            BusUnavailableError: the connection was lost.
        """
        self._client = client
        self._is_denied = False
        with port_errors():
            self._live = await client.subscribe(
                self.topic,
                queue=self.group,
                cb=self._handle,
                pending_msgs_limit=self._pending_messages,
                pending_bytes_limit=PENDING_BYTES,
            )

    async def abandon(self) -> None:
        """End it on its connection at once; messages that the server has sent may be lost."""
        live, self._live = self._live, None
        if live is not None:
            with contextlib.suppress(BusUnavailableError), port_errors():
                await live.unsubscribe()

    async def unsubscribe(self) -> None:
        """End the subscription; messages that the server had already sent are handled on return."""
        self._owner.forget(self)
        live, self._live = self._live, None
        if live is not None and self._client is not None:
            await self._owner.end(self._client, live)
