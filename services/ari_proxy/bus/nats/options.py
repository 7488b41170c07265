"""Options of the bus on NATS."""

from dataclasses import dataclass, field
from typing import ClassVar, Final

from ari_proxy.backoff import Backoff
from ari_proxy.bus.options import BusOptions

_BACKOFF: Final = Backoff(first_seconds=0.1, last_seconds=5.0)


@dataclass(frozen=True, slots=True, kw_only=True)
class NatsOptions(BusOptions):
    """Servers, account and TLS; secrets don't show in a repr."""

    kind: ClassVar[str] = "NATS"

    token: str = field(default="", repr=False)
    #: Files with JWT and nkey seed, or with a seed alone; nats-py reads them when it connects.
    credentials_file: str = ""
    nkey_seed_file: str = ""
    #: Prefix of the subjects for replies to us.
    inbox_prefix: str = "_INBOX"
    #: TLS starts before the server sends INFO (`handshake_first` in its configuration).
    tls_handshake_first: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class NatsTuning:
    """Times and bounds of a connection; tests use shorter ones."""

    #: Deadline for a connection attempt.
    connect_seconds: float = 5.0
    backoff: Backoff = _BACKOFF
    #: Between round trips when there is nothing to confirm.
    idle_seconds: float = 5.0
    #: Between attempts to establish refused subscriptions: permissions may change.
    denied_seconds: float = 5.0
    #: Between looks whether a JWT that will expire has been renewed.
    renewal_seconds: float = 5.0
    #: Messages that may wait for a handler; more are dropped, counted and logged.
    pending_messages: int = 512 * 1024
