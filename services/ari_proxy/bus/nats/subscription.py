"""One subscription on NATS, across connections."""

import contextlib
from collections.abc import Sequence
from functools import partial
from typing import Final, Protocol

from nats.aio.client import Client
from nats.aio.msg import Msg
from nats.aio.subscription import Subscription

from ari_proxy.bus.base import Handler, Message
from ari_proxy.bus.errors import BusUnavailableError
from ari_proxy.bus.faults import Faults
from ari_proxy.protocol.messages import TRACEPARENT

from .errors import port_errors
from .overlap import Overlap

#: Bound of the messages that wait for a handler, beside their number (`NatsTuning`).
PENDING_BYTES: Final = 128 * 1024 * 1024


class NatsSubscriptionOwner(Protocol):
    """The collection that a subscription belongs to."""

    def forget(self, subscription: "NatsSubscription") -> None:
        """Do not establish a subscription on later connections."""

    async def end(self, client: Client, live: Sequence[Subscription]) -> None:
        """End subscriptions of a connection, and handle what the server has sent for them."""


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
        #: By connection: two while the bus moves. None until it is subscribed there.
        self._live: dict[Client, Subscription | None] = {}
        self._overlap: Overlap | None = None
        self._is_denied = False

    @property
    def is_denied(self) -> bool:
        """True if the server refuses it to our account."""
        return self._is_denied

    def deny(self) -> None:
        """Note that the server refuses it."""
        self._is_denied = True

    async def _handle(self, message: Msg) -> None:
        if self._overlap is not None:
            self._overlap.note(message)
        self._pass(message)

    async def _handle_once(self, overlap: Overlap, message: Msg) -> None:
        if await overlap.is_new(message):
            await self._handle(message)

    def _pass(self, message: Msg) -> None:
        headers = message.headers
        traceparent = headers.get(TRACEPARENT, "") if headers else ""
        self._faults.run(
            self._handler,
            Message(message.subject, message.data, message.reply, traceparent=traceparent),
        )

    def is_established(self, client: Client) -> bool:
        """Return whether it is established on a connection."""
        return client in self._live

    def on(self, client: Client) -> Subscription | None:
        """Return the subscription on a connection."""
        return self._live.get(client)

    def leave(self, client: Client) -> None:
        """Forget a connection on which nothing more comes."""
        self._live.pop(client, None)
        self._end_overlap()

    def _end_overlap(self) -> None:
        if self._overlap is not None:
            self._overlap.end()
            self._overlap = None

    async def establish(self, client: Client) -> None:
        """Subscribe on a connection, beside the former one if the bus is moving.

        Of a group's messages each comes on one of them: the server sees to that.

        Raises:
            BusUnavailableError: the connection was lost.
        """
        handle = self._handle
        if self._live and not self.group:
            self._overlap = Overlap(self._pending_messages)
            handle = partial(self._handle_once, self._overlap)
        self._live[client] = None
        self._is_denied = False
        with port_errors():
            self._live[client] = await client.subscribe(
                self.topic,
                queue=self.group,
                cb=handle,
                pending_msgs_limit=self._pending_messages,
                pending_bytes_limit=PENDING_BYTES,
            )

    async def abandon(self) -> None:
        """End it on its connections at once; messages that the server has sent may be lost."""
        for live in self._end_everywhere().values():
            with contextlib.suppress(BusUnavailableError), port_errors():
                await live.unsubscribe()

    async def unsubscribe(self) -> None:
        """End the subscription; messages that the server had already sent are handled on return."""
        self._owner.forget(self)
        for client, live in self._end_everywhere().items():  # The former one first.
            await self._owner.end(client, [live])
            self._end_overlap()

    def _end_everywhere(self) -> dict[Client, Subscription]:
        live = {client: live for client, live in self._live.items() if live is not None}
        self._live.clear()
        return live
