"""One subscription on NATS, across connections."""

import contextlib
from functools import partial
from typing import Final, Protocol

from nats.aio.msg import Msg
from nats.aio.subscription import Subscription

from ari_proxy.bus.base import Handler, Message
from ari_proxy.bus.errors import BusUnavailableError
from ari_proxy.bus.faults import Faults
from ari_proxy.protocol.messages import TRACEPARENT

from .errors import port_errors
from .overlap import Overlap
from .servers import ClusterClient

#: Bound of the messages that wait for a handler, beside their number (`NatsTuning`).
PENDING_BYTES: Final = 128 * 1024 * 1024


class NatsSubscriptionOwner(Protocol):
    """The collection that a subscription belongs to."""

    def forget(self, subscription: "NatsSubscription") -> None:
        """Do not establish a subscription on later connections."""

    async def end(self, client: ClusterClient, live: Subscription) -> None:
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
        #: By connection: two while the bus moves. None until it is subscribed there.
        self._live: dict[ClusterClient, Subscription | None] = {}
        self._overlap: Overlap | None = None
        #: The connections on which the server refuses it.
        self._denied: set[ClusterClient] = set()

    @property
    def is_denied(self) -> bool:
        """True if a server refuses it to our account."""
        return bool(self._denied)

    def is_missing(self, client: ClusterClient) -> bool:
        """Return whether it is refused or not yet established on a connection."""
        return client in self._denied or client not in self._live

    def deny(self, client: ClusterClient) -> None:
        """Note that the server of a connection refuses it."""
        self._denied.add(client)

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

    def is_established(self, client: ClusterClient) -> bool:
        """Return whether it is established on a connection."""
        return client in self._live

    def on(self, client: ClusterClient) -> Subscription | None:
        """Return the subscription on a connection."""
        return self._live.get(client)

    @property
    def is_moving(self) -> bool:
        """True while it is on two connections."""
        return len(self._live) > 1

    def leave(self, client: ClusterClient) -> None:
        """Forget a connection on which nothing more comes."""
        self._denied.discard(client)
        if client not in self._live:
            return
        del self._live[client]
        if self._overlap is not None and any(one.number < client.number for one in self._live):
            self._overlap.give_up()  # All that has come here comes on the former one.
        self._end_overlap()

    def _end_overlap(self) -> None:
        if self._overlap is not None:
            self._overlap.end()
            self._overlap = None

    async def establish(self, client: ClusterClient) -> None:
        """Subscribe on a connection, beside the former one if the bus is moving.

        Of a group's messages each comes on one of them: the server sees to that.

        Raises:
            BusUnavailableError: the connection was lost.
        """
        if any(other.number > client.number for other in self._live):
            return  # The bus is about to leave this one.
        handle = self._handle
        if self._live and not self.group:
            self._overlap = Overlap(self._pending_messages)
            handle = partial(self._handle_once, self._overlap)
        self._live[client] = None
        self._denied.discard(client)
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

    async def establish_again(self, client: ClusterClient) -> None:
        """Subscribe on a connection on which it was refused, or is missing otherwise.

        Raises:
            BusUnavailableError: the connection was lost.
        """
        if (live := self._live.pop(client, None)) is not None:
            with port_errors():
                await live.unsubscribe()
        await self.establish(client)

    async def unsubscribe(self) -> None:
        """End the subscription; messages that the server had already sent are handled on return."""
        self._owner.forget(self)
        for client, live in self._end_everywhere().items():  # The former one first.
            await self._owner.end(client, live)
            self._end_overlap()

    def _end_everywhere(self) -> dict[ClusterClient, Subscription]:
        live = {client: live for client, live in self._live.items() if live is not None}
        self._live.clear()
        return live
