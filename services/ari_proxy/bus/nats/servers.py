"""The servers of a NATS cluster: those announced by its servers, beside the configured ones.

Each server announces the addresses of all others, again whenever one joins or leaves
(`connect_urls` of INFO; docs.nats.io, "NATS Protocol"). nats-py uses them only for its own
reconnecting, and forgets none; our connections are separate clients, one after another.
"""

import asyncio
import ipaddress
import itertools
import random
import time
from collections.abc import Iterable, Sequence
from typing import Any, Final, NamedTuple
from urllib.parse import urlparse, urlsplit

from nats.aio.client import DEFAULT_BUFFER_SIZE, Client, Srv
from nats.aio.subscription import Subscription
from nats.protocol import command

from .account_files import NO_TOKEN, UserToken
from .transport import NatsTransport

_PORT: Final = 4222
_numbers: Final = itertools.count()


class Discovered(NamedTuple):
    """A server that another one has announced."""

    #: Host and port.
    address: str
    #: The name that its certificate must have, where the address is an IP; else ''.
    tls_name: str = ""

    @property
    def host_and_port(self) -> tuple[str, int]:
        """The address in two parts."""
        parts = urlsplit(f"//{self.address}")
        return parts.hostname or "", parts.port or _PORT


class Candidates(NamedTuple):
    """The servers to which a connection may be made, beside the configured ones."""

    known: tuple[Discovered, ...] = ()
    #: Host and port of a server that will stop: it is tried last.
    leaving: tuple[str, int] | None = None
    #: True if the configured ones are not meant.
    are_all: bool = False


ANY: Final = Candidates()


class ClusterClient(Client):
    """A connection that knows servers beside its URLs, and keeps the announced ones."""

    def __init__(self, candidates: Candidates = ANY, token: UserToken = NO_TOKEN) -> None:
        super().__init__()
        self._candidates = candidates
        #: Higher than those of the connections made before.
        self.number = next(_numbers)
        #: With which it logs in.
        self.token = token
        self._announced: tuple[str, ...] = ()
        #: Set once the server says that it will stop ("lame duck mode"): it accepts no connection
        #: any more, and closes those that it has, at the earliest after `lame_duck_grace_period`.
        self.is_leaving = asyncio.Event()

    def _setup_server_pool(self, connect_url: list[str]) -> None:
        super()._setup_server_pool(connect_url)
        scheme = self._server_pool[0].uri.scheme
        known, leaving, are_all = self._candidates
        if are_all:
            self._server_pool.clear()
        present = {server.uri.netloc for server in self._server_pool}
        self._server_pool += [
            Srv(
                urlparse(f"{scheme}://{one.address}"),
                discovered=True,
                tls_name=one.tls_name or None,
            )
            for one in known
            if one.address not in present
        ]
        random.shuffle(self._server_pool)
        self._server_pool.sort(key=lambda server: _address_of(server) == leaving)

    async def _connect_to_server(self, s: Srv) -> None:
        if s.uri.scheme in ("ws", "wss"):
            await super()._connect_to_server(s)
            return
        s.last_attempt = time.monotonic()
        self._transport = NatsTransport()  # type: ignore[no-untyped-call]  # nats-py's
        await self._transport.connect(
            s.uri, DEFAULT_BUFFER_SIZE, connect_timeout=self.options["connect_timeout"]
        )

    async def _process_info(self, info: dict[str, Any], initial_connection: bool = False) -> None:  # noqa: FBT001, FBT002  nats-py's
        self._announced = tuple(info.get("connect_urls") or ())
        if info.get("ldm"):
            self.is_leaving.set()
        await super()._process_info(info, initial_connection)

    async def join_again(self, live: Subscription, times: int) -> list[int]:
        """Join the group of a subscription more often; each of its messages still comes once.

        Returns:
            The ids under which the server has the additional memberships.
        """
        first = self._sid + 1
        self._sid += times
        memberships = list(range(first, first + times))
        self._subs.update(dict.fromkeys(memberships, live))
        for number in memberships:
            await self._send_command(command.sub_cmd(live.subject, live.queue, number))
        await self._flush_pending()
        return memberships

    def memberships_of(self, live: Subscription) -> list[int]:
        """Return the ids under which the server has a subscription."""
        return [number for number, one in self._subs.items() if one is live]

    async def resign(self, memberships: Iterable[int]) -> None:
        """Tell the server to send nothing more for some ids of subscriptions."""
        for number in memberships:
            await self._send_unsubscribe(number)

    def forget(self, memberships: Iterable[int]) -> None:
        """Accept nothing more for some ids of subscriptions."""
        for number in memberships:
            self._subs.pop(number, None)

    @property
    def server(self) -> tuple[str, int] | None:
        """Host and port of the server that was tried last."""
        if self._current_server is None:
            return None
        return _address_of(self._current_server)

    @property
    def discovered(self) -> tuple[Discovered, ...]:
        """The servers of the cluster, as the connection's server has announced them last."""
        server = self._current_server
        if server is None:
            return ()
        name = server.tls_name or server.uri.hostname or ""
        return discovered_in(self._announced, name)


def _address_of(server: Srv) -> tuple[str, int]:
    return server.uri.hostname or "", server.uri.port or _PORT


def discovered_in(announced: Sequence[str], name: str) -> tuple[Discovered, ...]:
    """Return the servers that a server has announced.

    Args:
        announced: their hosts and ports.
        name: the name of the announcing server, which a cluster's certificates have in common.
    """
    return tuple(
        Discovered(address, name if _is_ip(urlsplit(f"//{address}").hostname or "") else "")
        for address in announced
    )


def _is_ip(host: str) -> bool:
    try:
        ipaddress.ip_address(host)
    except ValueError:
        return False
    return True
