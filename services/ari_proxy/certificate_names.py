"""Looks which names a server's certificate has, where ours was not among them.

OpenSSL tells that it was not, and nothing more. So the server is asked again, by a handshake that
checks all but the name and sends nothing behind it.
"""

import asyncio
import ssl
import time
from typing import Final

from . import certificate_errors

_LOOK_SECONDS: Final = 3.0
#: For which a server is not asked again.
_KNOWN_SECONDS: Final = 30.0
_READ_BYTES: Final = 65_536


class CertificateNames:
    """Explains faults of the certificates of one group's servers: `ari` or `bus`."""

    def __init__(self, group: str) -> None:
        self._group = group
        #: By server: when it was asked, and what it told.
        self._known: dict[tuple[str, int], tuple[float, tuple[str, ...]]] = {}

    async def explained(
        self,
        error: BaseException,
        server: tuple[str, int],
        tls: ssl.SSLContext | None,
        *,
        greets: bool = False,
    ) -> str:
        """Return what a failed connection tells of the server's certificate, or '' if nothing.

        Args:
            error: as a client library raised it.
            server: host and port.
            tls: with which it was checked; None for the system's authorities.
            greets: whether the server says a line before TLS begins.
        """
        names = None
        if certificate_errors.is_about_names(error):
            names = await self._names(server, tls or ssl.create_default_context(), greets=greets)
        return certificate_errors.explained(error, self._group, names)

    async def _names(
        self, server: tuple[str, int], tls: ssl.SSLContext, *, greets: bool
    ) -> tuple[str, ...] | None:
        asked_at, names = self._known.get(server, (0.0, ()))
        if server in self._known and time.monotonic() - asked_at < _KNOWN_SECONDS:
            return names
        try:
            async with asyncio.timeout(_LOOK_SECONDS):
                names = await _names_of(server, tls, greets=greets)
        except (OSError, TimeoutError, EOFError):
            return None
        self._known = {server: (time.monotonic(), names)}
        return names


async def _names_of(
    server: tuple[str, int], tls: ssl.SSLContext, *, greets: bool
) -> tuple[str, ...]:
    reader, writer = await asyncio.open_connection(*server)
    try:
        if greets:
            await reader.readline()
        incoming, outgoing = ssl.MemoryBIO(), ssl.MemoryBIO()
        handshake = _unnamed(tls, incoming, outgoing, server[0])
        while True:
            try:
                handshake.do_handshake()
            except ssl.SSLWantReadError:
                writer.write(outgoing.read())
                received = await reader.read(_READ_BYTES)
                if not received:
                    raise EOFError from None
                incoming.write(received)
            else:
                break
        certificate = handshake.getpeercert() or {}
    finally:
        writer.close()
    found = certificate.get("subjectAltName", ())
    return tuple(str(entry[1]) for entry in found if isinstance(entry, tuple))


def _unnamed(
    tls: ssl.SSLContext, incoming: ssl.MemoryBIO, outgoing: ssl.MemoryBIO, host: str
) -> ssl.SSLObject:
    """Return a handshake that does not check the name; no other one is begun meanwhile."""
    is_checked = tls.check_hostname
    tls.check_hostname = False
    try:
        return tls.wrap_bio(incoming, outgoing, server_hostname=host)
    finally:
        tls.check_hostname = is_checked
