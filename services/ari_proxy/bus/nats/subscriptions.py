"""All subscriptions of a bus on NATS: established on each connection, tried again if refused."""

import asyncio
import contextlib
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from typing import Final

from nats.aio.subscription import Subscription

from ari_proxy.bus.base import Handler
from ari_proxy.bus.errors import BusRefusedError, BusUnavailableError
from ari_proxy.bus.faults import Faults

from .connection import LOOK_SECONDS
from .errors import ending_connection, port_errors
from .permissions import NatsPermissions
from .requests import ROUND_TRIP_SECONDS, NatsRequests
from .servers import ClusterClient
from .subscription import NatsSubscription

#: Members of a group that a connection counts as in addition, while the bus leaves another one. An
#: account may be limited to some hundred subscriptions.
PREFERENCE: Final = 100


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
        self, topic: str, handler: Handler, group: str, client: ClusterClient | None
    ) -> NatsSubscription:
        """Add a subscription; establish it if there is a connection."""
        subscription = self._add(topic, handler, group)
        try:
            if client is not None:
                with contextlib.suppress(BusUnavailableError, BusRefusedError, TimeoutError):
                    await subscription.establish(client)
                    await self._requests.round_trip_in_time(client)
        except asyncio.CancelledError:
            self.forget(subscription)  # Its caller has no handle to end it.
            await subscription.abandon()
            raise
        return subscription

    async def is_permitted(self, topic: str, client: ClusterClient) -> bool:
        """Return whether our account may subscribe to a topic.

        Raises:
            BusUnavailableError: the connection was lost.
        """
        subscription = self._add(topic, lambda _: None)
        try:
            # In one go, so that nobody takes it for a listener.
            await subscription.establish(client)
            await subscription.abandon()
            await self._requests.round_trip(client=client)
            return not subscription.is_denied
        finally:
            self.forget(subscription)
            await subscription.abandon()  # On a connection that has come meanwhile, too.

    async def establish_all(self, client: ClusterClient) -> None:
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
            await self._requests.round_trip_in_time(client)

    async def end(self, client: ClusterClient, live: Subscription) -> None:
        """End a subscription of a connection, and handle what the server has sent for it.

        A group would lose those messages.
        """
        with contextlib.suppress(BusUnavailableError, BusRefusedError, TimeoutError), port_errors():
            async with asyncio.timeout(ROUND_TRIP_SECONDS):
                await self._end(client, [live])
                await live.unsubscribe()

    async def end_all(self, client: ClusterClient) -> None:
        """End all subscriptions of a connection, as `end` does; they live on on another one.

        Raises:
            BusUnavailableError, BusRefusedError, TimeoutError: the connection is lost.
        """
        try:
            await self._end(client, [live for one in self._active if (live := one.on(client))])
        finally:
            self.leave(client)

    async def _end(self, client: ClusterClient, live: Sequence[Subscription]) -> None:
        # Not nats-py's drain: its PING overtakes the UNSUB, and if the wait for the PONG is
        # cancelled the PONG ends the connection.
        with port_errors():
            for one in live:
                await client.resign(client.memberships_of(one))
        await self._requests.round_trip_in_time(client)
        for one in live:
            await one._pending_queue.join()  # noqa: SLF001  what its drain waits for

    @asynccontextmanager
    async def preferred(self, client: ClusterClient) -> AsyncIterator[None]:
        """Have the servers give nearly all messages of our groups to a connection in a block.

        When a member leaves a group, its server drops what another one has sent it meanwhile, if
        that one has a member of its own.

        Raises:
            BusUnavailableError, BusRefusedError, TimeoutError: the connection is lost.
        """
        live = [on for one in self._active if one.group and (on := one.on(client)) is not None]
        added: list[int] = []
        try:
            with port_errors():
                for one in live:
                    added += await client.join_again(one, PREFERENCE)
            await self._requests.round_trip_in_time(client)
            yield
        finally:
            with contextlib.suppress(BusUnavailableError, BusRefusedError, TimeoutError):
                with port_errors():
                    await client.resign(added)
                await self._requests.round_trip_in_time(client)
            client.forget(added)

    def leave(self, client: ClusterClient) -> None:
        """Forget a connection on which nothing more comes."""
        for subscription in self._active:
            was_denied = subscription.is_denied
            subscription.leave(client)
            if was_denied and not subscription.is_denied:
                self._permissions.allow("subscribe", subscription.topic)

    async def until_moved(self) -> None:
        """Return once none is on two connections any more: it cannot be on three."""
        while any(one.is_moving for one in self._active):  # noqa: ASYNC110  each ends on its own
            await asyncio.sleep(LOOK_SECONDS)

    async def retry_denied(self, client: ClusterClient, interval_seconds: float) -> None:
        """Try refused and missing subscriptions again until cancelled: permissions may change.

        Raises:
            DisconnectedError: the connection is of no use.
        """
        while True:
            await asyncio.sleep(interval_seconds)
            for subscription in [one for one in self._active if one.is_missing(client)]:
                with ending_connection():
                    await subscription.establish_again(client)
                    await self._requests.round_trip_in_time(client)
                if not subscription.is_denied:
                    self._permissions.allow("subscribe", subscription.topic)
