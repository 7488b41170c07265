"""Names in a server's certificate, fetched after a host name mismatch.

OpenSSL reports the mismatch and nothing more. So a second handshake checks all but the name and
sends nothing after it.
"""

import asyncio
import ssl
import time
from typing import Final

from . import certificate_errors, happy_eyeballs

_HANDSHAKE_SECONDS: Final = 3.0
#: For which fetched names are reused.
_KNOWN_SECONDS: Final = 30.0
_READ_BYTES: Final = 65_536


class CertificateNames:
    """Explains refused certificates of one settings group's servers: `ari` or `bus`."""

    def __init__(self, group: str) -> None:
        self._group = group
        #: By (host, port): monotonic time of the handshake, and the names.
        self._known: dict[tuple[str, int], tuple[float, tuple[str, ...]]] = {}

    async def explained(
        self,
        error: BaseException,
        server: tuple[str, int],
        tls: ssl.SSLContext | None,
        *,
        greets: bool = False,
    ) -> str:
        """Explain a failed connection by the server's certificate; '' if it was not the cause.

        Args:
            error: the exception of a client library.
            server: host and port.
            tls: the context that refused it; None for the system's authorities.
            greets: whether the server sends a line before TLS begins.
        """
        names = None
        if certificate_errors.is_about_names(error):
            names = await self._names(server, tls or ssl.create_default_context(), greets=greets)
        return certificate_errors.explained(error, self._group, names)

    async def _names(
        self, server: tuple[str, int], tls: ssl.SSLContext, *, greets: bool
    ) -> tuple[str, ...] | None:
        fetched_at, names = self._known.get(server, (0.0, ()))
        if server in self._known and time.monotonic() - fetched_at < _KNOWN_SECONDS:
            return names
        try:
            async with asyncio.timeout(_HANDSHAKE_SECONDS):
                names = await _names_of(server, tls, greets=greets)
        except (OSError, TimeoutError, EOFError):
            return None
        self._known = {server: (time.monotonic(), names)}
        return names


async def _names_of(
    server: tuple[str, int], tls: ssl.SSLContext, *, greets: bool
) -> tuple[str, ...]:
    reader, writer = await happy_eyeballs.open_connection(*server)
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
    """Return a handshake that skips the name check.

    Nothing is awaited here, so no other handshake begins while the check is off.
    """
    is_checked = tls.check_hostname
    tls.check_hostname = False
    try:
        return tls.wrap_bio(incoming, outgoing, server_hostname=host)
    finally:
        tls.check_hostname = is_checked
