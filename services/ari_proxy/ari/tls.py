"""TLS to Asterisk: how to check its certificate, and what is wrong with one that was refused."""

import ssl
from typing import Final, Protocol

from ari_proxy.certificate_names import CertificateNames

_TLS_PORT: Final = 443


class TlsSource(Protocol):
    """Where a client gets its TLS context; certificates may change while the process runs."""

    def current(self) -> ssl.SSLContext | None:
        """Return the context for the next connection; None for the system's authorities."""


class AriTls:
    """The TLS side of one client of Asterisk."""

    def __init__(self, source: TlsSource | None = None, server_name: str = "") -> None:
        """Make the TLS side of a client.

        Args:
            source: of the context; None for the system's authorities.
            server_name: the name in Asterisk's certificate; '' for the URL's host.
        """
        self._source = source
        self._system: ssl.SSLContext | None = None
        self._names = CertificateNames("ari")
        #: The name in Asterisk's certificate, or None for the URL's host.
        self.server_name = server_name or None

    def context(self) -> ssl.SSLContext:
        """Return the context for the next connection by TLS; of the system's authorities if none.

        Not the libraries': websockets has none for an address of wss. A kept connection is used
        again only while this is still its context, so that of the system is made once.
        """
        found = self._source.current() if self._source is not None else None
        if found is None:
            found = self._system = self._system or ssl.create_default_context()
        return found

    async def explained(self, error: BaseException, host: str, port: int | None) -> str:
        """Return the fault of Asterisk's certificate that made a connection fail, or ''."""
        return await self._names.explained(error, (host, port or _TLS_PORT), self.context())
