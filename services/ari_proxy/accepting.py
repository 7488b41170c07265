"""Listening on either family of addresses, and accepting for as long as the process runs.

asyncio's servers say so up to 128 times a second if there are none; uvloop's say nothing.
"""

import asyncio
import errno
import socket
from collections.abc import Callable, Iterable
from contextlib import ExitStack
from typing import Final

from .log_limit import LogLimit

#: Between two attempts while connections can't be accepted; those that come wait in the kernel.
AGAIN_SECONDS: Final = 0.1
#: Between two lines about it.
LOG_SECONDS: Final = 60.0
#: The address of all interfaces, in both families.
EVERY_ADDRESS: Final = "::"
#: Free ports that are tried where several addresses are to have the same one.
_PORTS: Final = 8
#: Whatever the machine's own files say (RFC 6761 §6.3).
_LOOPBACK: Final = ("127.0.0.1", "::1")
#: An address of a family that this machine does not have, or not on that interface.
_ABSENT: Final = frozenset({errno.EAFNOSUPPORT, errno.EADDRNOTAVAIL})
#: How IPv6 writes an address of IPv4 (RFC 4291 §2.5.5.2).
_MAPPED: Final = "::ffff:"


def _has_ipv6() -> bool:
    try:
        socket.socket(socket.AF_INET6).close()
    except OSError:  # The kernel was started without.
        return False
    return True


async def listen(
    host: str, port: int, *, backlog: int, has_ipv6: Callable[[], bool] = _has_ipv6
) -> list[socket.socket]:
    """Return sockets that listen on all addresses of a host; they do not block.

    Args:
        host: an address or a name; `localhost` is both of its addresses. `::` is every address of
            this machine, of both families; where it has no IPv6, those of IPv4.
        port: 0 for any free one, which they have in common.
        backlog: of connections that are not accepted yet.
        has_ipv6: whether this machine has IPv6.

    Raises:
        OSError: one of them can't be bound.
    """
    if host == EVERY_ADDRESS and not has_ipv6():
        host = "0.0.0.0"  # noqa: S104  as the caller has said
    addresses = await _addresses(host, port)
    for _ in range(_PORTS - 1):
        try:
            return _bound_all(addresses, port, backlog)
        except OSError as error:
            # The free port of one address is taken at another one.
            if port or error.errno != errno.EADDRINUSE:
                raise
    return _bound_all(addresses, port, backlog)


async def _addresses(host: str, port: int) -> Iterable[tuple[int, str]]:
    """Return family and address of each address of a host."""
    loop = asyncio.get_running_loop()
    addresses: dict[tuple[int, str], None] = {}
    for one in _LOOPBACK if host == "localhost" else (host,):
        found = await loop.getaddrinfo(one, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE)
        addresses |= dict.fromkeys((family, str(where[0])) for family, _, _, _, where in found)
    return addresses


def _bound_all(
    addresses: Iterable[tuple[int, str]], port: int, backlog: int
) -> list[socket.socket]:
    """Bind all addresses that this machine has; one at least, or none."""
    with ExitStack() as stack:
        bound: list[socket.socket] = []
        absent: OSError | None = None
        for family, address in addresses:
            try:
                one = stack.enter_context(_bound(family, address, port, backlog))
            except OSError as error:
                if error.errno not in _ABSENT:
                    raise
                absent = error
            else:
                bound.append(one)
                port = one.getsockname()[1]
        if absent is not None and not bound:
            raise absent
        stack.pop_all()
        return bound


def _bound(family: int, address: str, port: int, backlog: int) -> socket.socket:
    is_dual = address == EVERY_ADDRESS and socket.has_dualstack_ipv6()
    found = socket.create_server(
        (address, port), family=family, backlog=backlog, dualstack_ipv6=is_dual
    )
    found.setblocking(False)
    return found


def usual(address: str) -> str:
    """Return a peer's address as people write it: that of IPv4 without IPv6's prefix."""
    return address.removeprefix(_MAPPED)


class Acceptor:
    """Accepts the connections to listening sockets."""

    def __init__(
        self,
        count_failed: Callable[[], None],
        log_failed: Callable[[str, int], None],
        *,
        again_seconds: float = AGAIN_SECONDS,
    ) -> None:
        """Initialise; `run` accepts.

        Args:
            count_failed: called for each attempt that fails: no file descriptor is left, for one.
            log_failed: called for the first of them, and once a minute, with the error and the
                number of others since the last call.
            again_seconds: between two attempts then.
        """
        self._count_failed = count_failed
        self._log_failed = log_failed
        self._again_seconds = again_seconds
        self._limit = LogLimit(LOG_SECONDS)

    async def run(
        self, listening: socket.socket, take: Callable[[socket.socket, str], None]
    ) -> None:
        """Accept connections until cancelled.

        Args:
            listening: does not block.
            take: called for each connection with its socket and the peer's address; what it does
                is done before the next one is accepted.
        """
        while True:
            try:
                accepted, address = listening.accept()
            except BlockingIOError:
                await _until_readable(listening)
                continue
            except OSError as error:
                self._note(error)
                await asyncio.sleep(self._again_seconds)
                continue
            accepted.setblocking(False)
            take(accepted, usual(address[0]))
            await asyncio.sleep(0)

    def _note(self, error: OSError) -> None:
        self._count_failed()
        others = self._limit.others()
        if others is not None:
            self._log_failed(str(error), others)


async def _until_readable(listening: socket.socket) -> None:
    """Wait for a connection, and leave it where it is.

    `sock_accept` of asyncio's loop takes it, and loses it if it is cancelled in that moment.
    """
    loop = asyncio.get_running_loop()
    readable = asyncio.Event()
    loop.add_reader(listening, readable.set)
    try:
        await readable.wait()
    finally:
        loop.remove_reader(listening)
