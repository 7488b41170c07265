"""How to reach a bus, whichever it is."""

import ssl
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Self


@dataclass(frozen=True, slots=True, kw_only=True)
class BusOptions:
    """How to reach the servers of one cluster; secrets don't show in a repr."""

    urls: tuple[str, ...]
    #: Shown in the server's list of connections.
    name: str
    buffer_bytes: int = 64 * 1024 * 1024
    user: str = field(default="", repr=False)
    password: str = field(default="", repr=False)
    #: For the servers whose URL asks for TLS.
    tls: ssl.SSLContext | None = None
    #: Returns them anew before each connection: secrets and certificates change while we run.
    renewed: Callable[[], Self] | None = field(default=None, repr=False)

    def current(self) -> Self:
        """Return the options of the connection that is made now."""
        return self.renewed() if self.renewed is not None else self
