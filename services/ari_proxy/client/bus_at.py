"""A bus by its URL: for applications, which have no settings and read no environment.

The URL has the servers and, if you like, the account. All else has a keyword, with the name of
ari-proxy's setting (docs/reference/settings.md), also in errors: `bus.ca_file` is `ca_file` here.
Certificates and NATS's files are read again for each connection, so that they may change.
"""

import importlib.util
import re
import ssl
from collections.abc import Callable
from dataclasses import replace
from typing import Final, TypedDict, Unpack

from ari_proxy.bus.base import Bus
from ari_proxy.bus.errors import BusSettingsError
from ari_proxy.bus.options import BUFFER_BYTES, CommonOptions
from ari_proxy.connections.certificates import RotatingContext, client_context
from ari_proxy.settings.errors import SettingsError
from ari_proxy.settings.urls import BUS_SCHEMES

_KINDS: Final = {scheme: kind for kind, schemes in BUS_SCHEMES.items() for scheme in schemes}
_MEMORY: Final = "memory"
_MEMORY_NAME: Final = re.compile(r"[\w.-]*")
_WEBSOCKETS: Final = frozenset({"ws", "wss"})
#: Schemes that never use TLS; NATS's servers ask for it themselves after nats://.
_WITHOUT_TLS: Final = frozenset({"amqp", "ws"})
_TLS_FILES: Final = ("ca_file", "certificate_file", "key_file")
_OF_NATS: Final = frozenset(
    {"token", "credentials_file", "nkey_seed_file", "inbox_prefix", "tls_handshake_first"}
)

_CurrentTls = Callable[[], ssl.SSLContext | None]


class BusAccess(TypedDict, total=False):
    """The account at a bus, and TLS; '' is the same as nothing."""

    #: The user, if it is not in the URL.
    user: str
    password: str
    #: NATS: token authentication.
    token: str
    #: NATS: a file with JWT and nkey seed, as `nsc` writes it.
    credentials_file: str
    #: NATS: a file with the seed of an nkey.
    nkey_seed_file: str
    #: NATS: prefix of the subjects of replies, for accounts that may not use `_INBOX`.
    inbox_prefix: str
    #: NATS: TLS starts before the server's INFO, as its `handshake_first` requires.
    tls_handshake_first: bool
    #: CA certificates for the servers. Default: the system's.
    ca_file: str
    #: A client certificate. Without a user it is also the account, where RabbitMQ has EXTERNAL.
    certificate_file: str
    #: Its private key. Default: in the certificate's file.
    key_file: str
    #: The name in the servers' certificates. Default: the host of the URL.
    server_name: str


def bus_at(url: str, *, name: str, **access: Unpack[BusAccess]) -> Bus:
    """Return a client of the bus at a URL; `bus.base.opened` runs it.

    Args:
        url: nats://, tls://, ws:// or wss:// for NATS; amqp:// or amqps:// for RabbitMQ, with a
            virtual host as path; several servers of one cluster stand between commas. It may hold
            an account, percent-encoded, and has no query. memory:// joins all with the same name
            behind it, in this process.
        name: shows in the server's list of connections.
        access: account and TLS.

    Raises:
        BusSettingsError: the URL, a keyword or a file can't be used. It never shows the URL.
    """
    scheme = url.strip().partition("://")[0].lower() if "://" in url else ""
    given = sorted(option for option, value in access.items() if value)
    if scheme == _MEMORY:
        return _memory_bus(url.strip(), given)
    kind = _KINDS.get(scheme)
    if kind is None:
        schemes = ", ".join(f"{known}://" for known in (*_KINDS, _MEMORY))
        raise BusSettingsError(f"the URL of the bus must begin with one of {schemes}")
    _check_access(kind, scheme, given)
    tls = _current_tls(access)
    if kind == "NATS":
        return _nats_bus(lambda: _common(url, name, access, tls()), access)
    return _rabbitmq_bus(lambda: _common(url, name, access, tls()), access)


def _check_access(kind: str, scheme: str, given: list[str]) -> None:
    """Refuse keywords that would change nothing, and a library that is not installed."""
    foreign = [option for option in given if option in _OF_NATS]
    if kind == "RABBITMQ" and foreign:
        raise BusSettingsError(
            f"RabbitMQ has no {', '.join(foreign)}: an account there is a user with a password, or "
            "a client certificate"
        )
    files = [option for option in given if option in _TLS_FILES]
    if scheme in _WITHOUT_TLS and files:
        raise BusSettingsError(f"{', '.join(files)}: {scheme}:// is without TLS; use {scheme}s://")
    if scheme in _WEBSOCKETS and importlib.util.find_spec("aiohttp") is None:
        raise BusSettingsError(f"{scheme}:// needs aiohttp: pip install aiohttp")


def _current_tls(access: BusAccess) -> _CurrentTls:
    ca_file, certificate_file = access.get("ca_file", ""), access.get("certificate_file", "")
    key_file = access.get("key_file", "")
    files = (ca_file, certificate_file, key_file)
    if not any(files):
        return lambda: None
    try:
        context = RotatingContext(files, lambda: client_context("bus", *files))
    except SettingsError as error:
        raise BusSettingsError(str(error)) from error
    return context.current


def _common(url: str, name: str, access: BusAccess, tls: ssl.SSLContext | None) -> CommonOptions:
    return {
        "urls": (url,),
        "name": name,
        "buffer_bytes": BUFFER_BYTES,
        "user": access.get("user", ""),
        "password": access.get("password", ""),
        "tls": tls,
        "server_name": access.get("server_name", ""),
    }


# The other bus's library is not imported.


def _nats_bus(common: Callable[[], CommonOptions], access: BusAccess) -> Bus:
    from ari_proxy.bus.nats.bus import NatsBus  # noqa: PLC0415  see above
    from ari_proxy.bus.nats.options import NatsOptions  # noqa: PLC0415

    def options() -> NatsOptions:
        return NatsOptions(
            **common(),
            token=access.get("token", ""),
            credentials_file=access.get("credentials_file", ""),
            nkey_seed_file=access.get("nkey_seed_file", ""),
            inbox_prefix=access.get("inbox_prefix") or "_INBOX",
            tls_handshake_first=access.get("tls_handshake_first", False),
        )

    return NatsBus(replace(options(), renewed=options))


def _rabbitmq_bus(common: Callable[[], CommonOptions], access: BusAccess) -> Bus:
    from ari_proxy.bus.rabbitmq.bus import RabbitMqBus  # noqa: PLC0415  see above
    from ari_proxy.bus.rabbitmq.options import RabbitMqOptions  # noqa: PLC0415

    def options() -> RabbitMqOptions:
        has_certificate = bool(access.get("certificate_file"))
        return RabbitMqOptions(**common(), has_certificate=has_certificate)

    return RabbitMqBus(replace(options(), renewed=options))


def _memory_bus(url: str, given: list[str]) -> Bus:
    from ari_proxy.bus.memory.bus import MemoryBus  # noqa: PLC0415  see above
    from ari_proxy.bus.memory.named import named_broker  # noqa: PLC0415

    if given:
        raise BusSettingsError(f"memory:// has no account and no TLS: leave out {', '.join(given)}")
    name = url.partition("://")[2].strip("/")
    if not _MEMORY_NAME.fullmatch(name):
        raise BusSettingsError("memory:// takes a name of letters, digits, ., _ and -, or nothing")
    return MemoryBus(named_broker(name))
