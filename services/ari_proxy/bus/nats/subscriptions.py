"""All subscriptions of a bus on NATS: established on each connection, tried again if refused."""

import asyncio
import contextlib

from nats.aio.client import Client
from nats.aio.subscription import Subscription

from ari_proxy.bus.base import Handler
from ari_proxy.bus.errors import BusRefusedError, BusUnavailableError
from ari_proxy.bus.faults import Faults

from .errors import ending_connection, port_errors
from .permissions import NatsPermissions
from .requests import ROUND_TRIP_SECONDS, NatsRequests
from .subscription import NatsSubscription


class NatsSubscriptions:
    """The subscriptions of one bus."""

    def __init__(
        self,
        active: set[NatsSubscription],
        *,
        permissions: NatsPermissions,
        requests: NatsRequests,
        faults: Faults,
        pending_messages: int,
    ) -> None:
        """Make a collection.

        Args:
            active: the subscriptions; `permissions` finds a refused one there.
            permissions: of our account.
            requests: for round trips.
            faults: counts handlers' exceptions.
            pending_messages: bound of the messages that wait for a handler.
        """
        self._active = active
        self._permissions = permissions
        self._requests = requests
        self._faults = faults
        self._pending_messages = pending_messages

    def __len__(self) -> int:
        """Return how many there are."""
        return len(self._active)

    def _add(self, topic: str, handler: Handler, group: str = "") -> NatsSubscription:
        subscription = NatsSubscription(
            topic,
            handler,
            group=group,
            owner=self,
            faults=self._faults,
            pending_messages=self._pending_messages,
        )
        self._active.add(subscription)
        return subscription

    def forget(self, subscription: NatsSubscription) -> None:
        """Do not establish a subscription on later connections."""
        self._active.discard(subscription)
        if subscription.is_denied:
            self._permissions.allow("subscribe", subscription.topic)

    async def subscribe(
        self, topic: str, handler: Handler, group: str, client: Client | None
    ) -> NatsSubscription:
        """Add a subscription; establish it if there is a connection."""
        subscription = self._add(topic, handler, group)
        try:
            if client is not None:
                with contextlib.suppress(BusUnavailableError, BusRefusedError, TimeoutError):
                    await subscription.establish(client)
                    await self._requests.round_trip_in_time()
        except asyncio.CancelledError:
            self.forget(subscription)  # Its caller has no handle to end it.
            await subscription.abandon()
            raise
        return subscription

    async def is_permitted(self, topic: str, client: Client) -> bool:
        """Return whether our account may subscribe to a topic.

        Raises:
            BusUnavailableError: the connection was lost.
        """
        subscription = self._add(topic, lambda _: None)
        try:
            # In one go, so that nobody takes it for a listener.
            await subscription.establish(client)
            await subscription.abandon()
            await self._requests.round_trip()
            return not subscription.is_denied
        finally:
            self.forget(subscription)

    async def establish_all(self, client: Client) -> None:
        """Establish all subscriptions on a new connection.

        Raises:
            BusUnavailableError, BusRefusedError, TimeoutError: the connection is of no use.
        """
        # More may be added while the server has not yet confirmed those.
        while missing := [one for one in self._active if not one.is_established(client)]:
            for subscription in missing:
                await subscription.establish(client)
                if subscription not in self._active:  # It was ended meanwhile.
                    await subscription.unsubscribe()
            # Not nats-py's flush: its PING overtakes buffered messages.
            await self._requests.round_trip_in_time()

    async def end(self, client: Client, live: Subscription) -> None:
        """End a subscription of a connection, and handle what the server has sent for it.

        A group would lose those messages.
        """
        with contextlib.suppress(BusUnavailableError, BusRefusedError, TimeoutError), port_errors():
            async with asyncio.timeout(ROUND_TRIP_SECONDS):
                # Not nats-py's drain: its PING overtakes the UNSUB, and if the wait for the PONG
                # is cancelled the PONG ends the connection.
                await client._send_unsubscribe(live._id)  # noqa: SLF001
                await self._requests.round_trip()
                while live.pending_msgs:  # noqa: ASYNC110  its own task handles them
                    await asyncio.sleep(0)
                await live.unsubscribe()

    async def retry_denied(self, client: Client, interval_seconds: float) -> None:
        """Try refused subscriptions again until cancelled: permissions may change.

        Raises:
            DisconnectedError: the connection is of no use.
        """
        while True:
            await asyncio.sleep(interval_seconds)
            for subscription in [one for one in self._active if one.is_denied]:
                await subscription.abandon()
                with ending_connection():
                    await subscription.establish(client)
                    await self._requests.round_trip_in_time()
                if not subscription.is_denied:
                    self._permissions.allow("subscribe", subscription.topic)
