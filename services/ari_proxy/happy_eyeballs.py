"""Connecting to a name with several addresses: one that does not answer delays, and no more.

Version 2 of Happy Eyeballs (RFC 8305) by aiohttp's own library for it: `create_connection` of
uvloop has no `happy_eyeballs_delay`, and tries one address until the kernel gives it up, minutes
later than our deadlines.
"""

import asyncio
import ipaddress
import socket
from collections.abc import Callable, Sequence
from typing import Any, Final, TypeVar

import aiohappyeyeballs

#: Until the next address is tried beside those that have not answered (RFC 8305 §5).
DELAY_SECONDS: Final = 0.25

#: What getaddrinfo returns of one address: family, type, protocol, canonical name, address.
AddressInfo = tuple[int, int, int, str, tuple[Any, ...]]
P = TypeVar("P", bound=asyncio.BaseProtocol)


async def connected(host: str, port: int, *, first: str = "") -> socket.socket:
    """Return a socket that is connected to a host; the caller sets the deadline.

    Args:
        host: a name or an address.
        port: of TCP.
        first: the address that is tried first, as it has answered last; or ''.

    Raises:
        OSError: the name has no address, or none of them accepts.
    """
    found: Sequence[AddressInfo] | None = _literal(host, port)
    if found is None:
        loop = asyncio.get_running_loop()
        found = await loop.getaddrinfo(host, port, type=socket.SOCK_STREAM)
    try:
        return await aiohappyeyeballs.start_connection(
            ordered(found, first), happy_eyeballs_delay=DELAY_SECONDS
        )
    except RuntimeError as error:  # uvloop's, for some addresses.
        raise OSError(str(error)) from error


async def create_connection(
    make: Callable[[], P], host: str, port: int, *, first: str = "", **options: Any
) -> tuple[asyncio.Transport, P]:
    """Connect as the loop's method does, with its options of TLS; `first` as in `connected`.

    Raises:
        OSError: there is no connection.
    """
    loop = asyncio.get_running_loop()
    sock = await connected(host, port, first=first)
    if options.get("ssl") is not None:
        options["server_hostname"] = options.get("server_hostname") or host
    try:
        return await loop.create_connection(make, sock=sock, **options)
    except BaseException:
        sock.close()
        raise


async def open_connection(
    host: str, port: int, *, reader: asyncio.StreamReader | None = None, **options: Any
) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
    """Connect as asyncio's function of that name does.

    Args:
        host: a name or an address.
        port: of TCP.
        reader: the one to use; None for a new one.
        options: of TLS, as those of `create_connection`.

    Raises:
        OSError: there is no connection.
    """
    loop = asyncio.get_running_loop()
    reader = reader or asyncio.StreamReader(loop=loop)
    transport, protocol = await create_connection(
        lambda: asyncio.StreamReaderProtocol(reader, loop=loop), host, port, **options
    )
    return reader, asyncio.StreamWriter(transport, protocol, reader, loop)


def ordered(found: Sequence[AddressInfo], first: str) -> list[AddressInfo]:
    """Return addresses in the resolver's order, with one of them before all others."""
    return sorted(found, key=lambda info: info[4][0] != first)


def _literal(host: str, port: int) -> list[AddressInfo] | None:
    """Return an address itself: it waits for no thread in which names are looked up."""
    try:
        version = ipaddress.ip_address(host).version
    except ValueError:
        return None
    family = socket.AF_INET6 if version == 6 else socket.AF_INET  # noqa: PLR2004
    return [(family, socket.SOCK_STREAM, socket.IPPROTO_TCP, "", (host, port))]
