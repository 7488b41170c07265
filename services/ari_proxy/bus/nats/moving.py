"""Moving from one connection to another without a moment without one.

A server that will stop says so: nats-server's lame duck mode (docs.nats.io, "Lame Duck Mode"). It
closes its connections one after another, so a bus that waits for that is cut in the middle of its
work. Instead it subscribes on another server first, finishes what it has sent, and goes. So it does
when its credentials file has got a JWT that lasts longer: the server cuts a connection whose JWT
expires.
"""

import asyncio
import contextlib
from functools import partial
from typing import Final

import structlog

from ari_proxy.aio import run_until_first
from ari_proxy.bus.errors import BusRefusedError, BusUnavailableError

from .account_files import UserToken
from .connection import LOOK_SECONDS, address_of, discard, until_lost
from .crossing import Crossing
from .errors import port_errors
from .permissions import NatsPermissions
from .replies import Replies
from .requests import NatsRequests
from .servers import ClusterClient
from .subscriptions import NatsSubscriptions

_log = structlog.get_logger()

#: Seconds in which both connections receive, for servers that are slow to tell each other.
BOTH_SECONDS: Final = 1.0
#: What a connection raises that is of no use.
USELESS: Final = (BusUnavailableError, BusRefusedError, TimeoutError)


async def reason_to_move(client: ClusterClient, renewal_seconds: float) -> None:
    """Return once a connection will be cut, and another one may not; log why.

    Args:
        client: the connection.
        renewal_seconds: between looks into the credentials file.
    """
    if await run_until_first(client.is_leaving.wait(), _renewed(client.token, renewal_seconds)):
        file = client.token.credentials_file
        _log.info("bus.credentials_renewed", bus="NATS", credentials_file=file)
    else:
        _log.info("bus.server_leaving", bus="NATS", url=address_of(client))


async def _renewed(token: UserToken, interval_seconds: float) -> None:
    """Return once the file of a token has one that lasts longer."""
    while not token.is_renewed():  # noqa: ASYNC110  a file tells nobody
        await asyncio.sleep(interval_seconds)


class MovedError(Exception):
    """Another connection takes the place of this one; ends the tasks that serve it."""


class NatsReception:
    """Receives on a connection what the bus has subscribed; on two while it moves."""

    def __init__(
        self,
        replies: Replies,
        *,
        requests: NatsRequests,
        permissions: NatsPermissions,
        subscriptions: NatsSubscriptions,
    ) -> None:
        self._replies = replies
        self._requests = requests
        self._permissions = permissions
        self._subscriptions = subscriptions
        #: From a connection that is left to its successor and the witnesses.
        self._crossings: dict[ClusterClient, Crossing] = {}
        #: By connection that is left: connections to the other servers of the cluster.
        self._witnesses: dict[ClusterClient, list[ClusterClient]] = {}

    async def begin(self, client: ClusterClient) -> None:
        """Subscribe on a connection, whatever others there are.

        Raises:
            BusUnavailableError, BusRefusedError, TimeoutError: it is of no use.
        """
        with port_errors():
            receive = partial(self._requests.receive, client)
            await client.subscribe(self._replies.pattern, cb=receive)
        await self._requests.round_trip_in_time(client)  # Shows whether we may have an inbox.
        self._permissions.allow_inbox()
        await self._subscriptions.establish_all(client)

    async def begin_beside(
        self, former: ClusterClient, client: ClusterClient, witnesses: list[ClusterClient]
    ) -> None:
        """Subscribe on the successor of a connection; return when all servers know of it.

        Args:
            former: the connection that is left.
            client: its successor.
            witnesses: connections to the other servers; closed with the former one.

        Raises:
            BusUnavailableError, BusRefusedError, TimeoutError: it is of no use.
        """
        self._witnesses[former] = witnesses
        await self.begin(client)
        arriving = await self._crossing(client, [former, *witnesses])
        leaving = await self._crossing(former, [client, *witnesses])
        if not (await arriving.cross() and await leaving.cross()):
            raise BusUnavailableError("the server is not yet one of the cluster's")
        self._crossings[former] = leaving

    async def _crossing(self, origin: ClusterClient, targets: list[ClusterClient]) -> Crossing:
        crossing = Crossing(origin, targets, self._replies.new_crossing())
        await crossing.open()
        return crossing

    async def cross(self, former: ClusterClient) -> None:
        """Return when all servers have what was published on a connection that is left.

        Raises:
            BusUnavailableError: the connection is lost.
        """
        await self._crossings[former].cross()

    async def retire(self, client: ClusterClient, successor: ClusterClient) -> None:
        """Handle what the server of a former connection has sent, await what it owes, close it.

        Nothing is given up unless the server cuts it: what was published there is confirmed before,
        and replies come on the successor as well.
        """
        has_handled_requests = asyncio.Event()
        leaving = self._leave(client, successor, has_handled_requests)
        await run_until_first(leaving, until_lost(client))
        if has_handled_requests.is_set():
            self._replies.hand_over(client, successor)
        await self.lose(client)

    async def _leave(
        self, client: ClusterClient, successor: ClusterClient, has_handled_requests: asyncio.Event
    ) -> None:
        with contextlib.suppress(*USELESS):
            await self._requests.round_trip_in_time(client)
            has_handled_requests.set()
            await asyncio.sleep(BOTH_SECONDS)
            async with self._subscriptions.preferred(successor):
                await self._subscriptions.end_all(client)
                await self.cross(client)
            while self._replies.awaits(client):  # noqa: ASYNC110  each has a deadline of its own
                await asyncio.sleep(LOOK_SECONDS)

    async def dismiss_witnesses(self, former: ClusterClient) -> None:
        """Close the connections to other servers, which were made to leave one."""
        self._crossings.pop(former, None)
        for witness in self._witnesses.pop(former, ()):
            await discard(witness)

    async def lose(self, client: ClusterClient) -> None:
        """Close a connection on which nothing more will come."""
        await self.dismiss_witnesses(client)
        self._subscriptions.leave(client)
        self._replies.lose(client)
        await discard(client)
