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
from .connection import address_of, discard
from .errors import port_errors
from .permissions import NatsPermissions
from .replies import Replies
from .requests import TRACE_SECONDS, NatsRequests
from .servers import ClusterClient
from .subscriptions import NatsSubscriptions

_log = structlog.get_logger()

#: Seconds between looks at whether something is still awaited on a connection that was left.
_LOOK_SECONDS: Final = 0.05
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

    async def begin(self, client: ClusterClient) -> None:
        """Subscribe on a connection, whatever others there are.

        Raises:
            BusUnavailableError, BusRefusedError, TimeoutError: it is of no use.
        """
        self._permissions.begin()
        with port_errors():
            receive = partial(self._replies.receive, client)
            await client.subscribe(self._replies.pattern, cb=receive)
        await self._requests.round_trip_in_time(client)  # Shows whether we may have an inbox.
        await self._subscriptions.establish_all(client)

    async def retire(self, client: ClusterClient) -> None:
        """Handle what the server of a former connection has sent, and close it."""
        try:
            await self._subscriptions.end_all(client)
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(TRACE_SECONDS):
                    while self._replies.awaits_server(client):  # noqa: ASYNC110  for moments only
                        await asyncio.sleep(_LOOK_SECONDS)
        finally:
            await self.lose(client)

    async def lose(self, client: ClusterClient) -> None:
        """Close a connection on which nothing more will come."""
        self._subscriptions.leave(client)
        self._replies.lose(client)
        await discard(client)
