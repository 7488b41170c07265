"""How to reach a bus, whichever it is."""

import ssl
from dataclasses import dataclass, field


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
