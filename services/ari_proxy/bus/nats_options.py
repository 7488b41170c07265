"""How to reach NATS."""

import ssl
from dataclasses import dataclass, field


@dataclass(frozen=True, slots=True, kw_only=True)
class NatsOptions:
    """How to reach the servers; secrets don't show in a repr."""

    urls: tuple[str, ...]
    name: str
    buffer_bytes: int = 64 * 1024 * 1024
    user: str = field(default="", repr=False)
    password: str = field(default="", repr=False)
    token: str = field(default="", repr=False)
    credentials_file: str = ""
    tls: ssl.SSLContext | None = None
