"""How to reach NATS."""

from dataclasses import dataclass, field
from typing import ClassVar, Final

from ari_proxy.backoff import Backoff
from ari_proxy.bus.options import BusOptions

_BACKOFF: Final = Backoff(first_seconds=0.1, last_seconds=5.0)


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


@dataclass(frozen=True, slots=True, kw_only=True)
class NatsTuning:
    """How long a connection waits for what, and how much may wait; tests wait less."""

    #: For a server to take a connection.
    connect_seconds: float = 5.0
    backoff: Backoff = _BACKOFF
    #: Between round trips when there is nothing to confirm.
    idle_seconds: float = 5.0
    #: After which it is tried again to listen to what was refused: rights may be given.
    denied_seconds: float = 5.0
    #: Messages that may wait for a handler; what comes then is dropped, counted and logged.
    pending_messages: int = 512 * 1024
