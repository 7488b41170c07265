"""The servers of a NATS cluster: those announced by its servers, beside the configured ones.

Each server announces the addresses of all others, again whenever one joins or leaves
(`connect_urls` of INFO; docs.nats.io, "NATS Protocol"). nats-py uses them only for its own
reconnecting, and forgets none; our connections are separate clients, one after another.
"""

import ipaddress
from collections.abc import Iterable, Sequence
from typing import Any, Final, NamedTuple
from urllib.parse import urlparse, urlsplit

from nats.aio.client import Client, Srv

from .account_files import NO_TOKEN, UserToken

_PORT: Final = 4222


class Discovered(NamedTuple):
    """A server that another one has announced."""

    #: Host and port.
    address: str
    #: The name that its certificate must have, where the address is an IP; else ''.
    tls_name: str = ""


class ClusterClient(Client):
    """A connection that knows servers beside its URLs, and keeps the announced ones."""

    def __init__(self, known: Iterable[Discovered] = (), token: UserToken = NO_TOKEN) -> None:
        super().__init__()
        #: With which it logs in.
        self.token = token
        self._known = tuple(known)
        self._announced: tuple[str, ...] = ()

    def _setup_server_pool(self, connect_url: list[str]) -> None:
        super()._setup_server_pool(connect_url)
        scheme = self._server_pool[0].uri.scheme
        present = {server.uri.netloc for server in self._server_pool}
        self._server_pool += [
            Srv(
                urlparse(f"{scheme}://{known.address}"),
                discovered=True,
                tls_name=known.tls_name or None,
            )
            for known in self._known
            if known.address not in present
        ]

    async def _process_info(self, info: dict[str, Any], initial_connection: bool = False) -> None:  # noqa: FBT001, FBT002  nats-py's
        self._announced = tuple(info.get("connect_urls") or ())
        await super()._process_info(info, initial_connection)

    @property
    def server(self) -> tuple[str, int] | None:
        """Host and port of the server that was tried last."""
        if self._current_server is None:
            return None
        uri = self._current_server.uri
        return uri.hostname or "", uri.port or _PORT

    @property
    def discovered(self) -> tuple[Discovered, ...]:
        """The servers of the cluster, as the connection's server has announced them last."""
        server = self._current_server
        if server is None:
            return ()
        name = server.tls_name or server.uri.hostname or ""
        return discovered_in(self._announced, name)


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
