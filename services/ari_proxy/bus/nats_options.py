"""How to reach NATS."""

from dataclasses import dataclass, field
from typing import ClassVar

from .options import BusOptions


@dataclass(frozen=True, slots=True, kw_only=True)
class NatsOptions(BusOptions):
    """How to reach the servers; secrets don't show in a repr."""

    kind: ClassVar[str] = "NATS"

    token: str = field(default="", repr=False)
    #: JWT and nkey seed, or a seed alone; nats-py reads the files when it connects.
    credentials_file: str = ""
    nkey_seed_file: str = ""
    #: What the subjects begin with on which replies come to us.
    inbox_prefix: str = "_INBOX"
    #: TLS comes before the server says anything (`handshake_first` in its configuration).
    tls_handshake_first: bool = False
