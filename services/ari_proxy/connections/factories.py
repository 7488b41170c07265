"""Clients made from the settings: of Asterisk and of the bus."""

import contextlib
import ssl
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from types import TracebackType
from typing import Final, TypedDict, TypeVar

import structlog
from websockets.asyncio.client import ClientConnection

from ari_proxy.ari.rest import Credentials, RestClient
from ari_proxy.ari.websocket import BACKOFF, EventSocket
from ari_proxy.backoff import Backoff
from ari_proxy.bus.base import Bus
from ari_proxy.bus.nats.bus import NatsBus
from ari_proxy.bus.nats.options import NatsOptions
from ari_proxy.bus.rabbitmq.bus import RabbitMqBus
from ari_proxy.bus.rabbitmq.options import RabbitMqOptions
from ari_proxy.protocol import topics
from ari_proxy.protocol.ids import ServerId
from ari_proxy.settings.errors import SettingsError
from ari_proxy.settings.groups import AriSettings, BusSettings
from ari_proxy.settings.load import Settings, bytes_of, named, secret, text_of
from ari_proxy.settings.urls import BusAddress, UrlError, bus_address, bus_urls

_log = structlog.get_logger()

T = TypeVar("T")
#: Seconds after which a changed password file is noticed.
REREAD_SECONDS: Final = 5.0


class Rereading:
    """Around what reads a file again: where that fails, what was read before stays in force.

    It may be being replaced, so that the next time is the time to try again; but whoever has put
    something wrong there has to learn of it. So each problem is logged, once.
    """

    def __init__(self) -> None:
        self._told = ""

    def __enter__(self) -> None:
        pass

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, _: TracebackType | None
    ) -> bool:
        problem = str(error) if isinstance(error, SettingsError) else ""
        if problem and problem != self._told:
            _log.warning("settings.kept", problem=problem)
        if error is None or problem:
            self._told = problem
        return bool(problem)


class RotatingCredentials:
    """The user of ari.conf; files are read again now and then, so that they may change.

    Asterisk and our files change at different moments: what was right before is tried again where
    Asterisk refuses what is right by now.
    """

    def __init__(
        self, settings: AriSettings, *, clock: Callable[[], float] = time.monotonic
    ) -> None:
        self._settings = settings
        self._has_files = bool(settings.user_file or settings.password_file)
        self._clock = clock
        self._rereading = Rereading()
        self._current = self._read()
        self._former = self._current
        self._read_at = clock()

    def __call__(self) -> Credentials:
        """Return what to log in with now."""
        if self._has_files and self._clock() - self._read_at > REREAD_SECONDS:
            self._renew()
        return self._current

    def refused(self, credentials: Credentials) -> bool:
        """Note that Asterisk does not take these; return whether there are others to try."""
        self._renew()
        if _are_same(self._current, credentials):
            self._current, self._former = self._former, self._current
        return not _are_same(self._current, credentials)

    def _renew(self) -> None:
        self._read_at = self._clock()
        with self._rereading:
            fresh = self._read()
            if not _are_same(fresh, self._current):
                self._current, self._former = fresh, self._current

    def _read(self) -> Credentials:
        settings = self._settings
        user = named("ari.user_file", settings.user, settings.user_file)
        password = secret("ari.password_file", settings.password, settings.password_file)
        return Credentials(user, password)


def _are_same(one: Credentials, other: Credentials) -> bool:
    return one.authorization == other.authorization


class RotatingTls:
    """How to check a server's certificate and show ours; read again when a file has changed."""

    def __init__(self, group: str, settings: AriSettings | BusSettings) -> None:
        self._group = group
        self._settings = settings
        self._rereading = Rereading()
        self._stamps = self._read_stamps()
        self._context = tls_context(group, settings)

    def __call__(self) -> ssl.SSLContext | None:
        """Return what is true now, or None if nothing is said of certificates."""
        stamps = self._read_stamps()
        if stamps != self._stamps:
            with self._rereading:
                self._context = tls_context(self._group, self._settings)
                self._stamps = stamps
        return self._context

    def _read_stamps(self) -> list[int]:
        stamps = []
        for file in _tls_files(self._settings):
            with contextlib.suppress(OSError):
                stamps.append(Path(file).stat().st_mtime_ns)
        return stamps


def rest_client(settings: Settings) -> RestClient:
    """Return a client of Asterisk's REST interface.

    Raises:
        SettingsError: a secret or a certificate can't be read.
    """
    credentials = RotatingCredentials(settings.ari)
    return RestClient(
        settings.ari.rest_url,
        credentials,
        refused=credentials.refused,
        concurrency=settings.ari.max_connections,
        timeout_seconds=settings.ari.timeout_seconds,
        tls=RotatingTls("ari", settings.ari),
        server_name=settings.ari.server_name,
    )


def event_socket(
    settings: Settings,
    *,
    backoff: Backoff = BACKOFF,
    connection: type[ClientConnection] = ClientConnection,
) -> EventSocket:
    """Return a client of Asterisk's events websocket.

    Args:
        settings: of all components.
        backoff: between attempts that fail.
        connection: what the library makes.

    Raises:
        SettingsError: a secret or a certificate can't be read.
    """
    credentials = RotatingCredentials(settings.ari)
    return EventSocket(
        settings.ari.websocket_url,
        settings.applications,
        credentials,
        refused=credentials.refused,
        origin=settings.ari.origin,
        subscribe_all=settings.ari.subscribe_all,
        tls=RotatingTls("ari", settings.ari),
        server_name=settings.ari.server_name,
        backoff=backoff,
        connection=connection,
    )


def bus(settings: Settings, component: str) -> Bus:
    """Return a client of the bus.

    Args:
        settings: of all components.
        component: shows in the bus's list of connections; `ingest` and `standalone` declare queues.

    Raises:
        SettingsError: a secret or a certificate can't be read.
    """
    tls = RotatingTls("bus", settings.bus)
    if settings.bus.kind == "RABBITMQ":
        rabbitmq = _kept(lambda: _rabbitmq(settings, component, tls()))
        return RabbitMqBus(replace(rabbitmq(), renewed=rabbitmq))
    nats = _kept(lambda: _nats(settings, component, tls()))
    return NatsBus(replace(nats(), renewed=nats))


def _kept(read: Callable[[], T]) -> Callable[[], T]:
    """Return a function that reads options anew, and has the last ones while that does not work."""
    last = read()
    rereading = Rereading()

    def current() -> T:
        nonlocal last
        with rereading:
            last = read()
        return last

    return current


class _Common(TypedDict):
    """What both buses are told; the fields are those of `BusOptions`."""

    urls: tuple[str, ...]
    name: str
    buffer_bytes: int
    user: str
    password: str
    tls: ssl.SSLContext | None
    server_name: str


def _common(
    settings: Settings, component: str, tls: ssl.SSLContext | None, address: BusAddress
) -> _Common:
    options = settings.bus
    return {
        "urls": address.urls,
        "name": f"ari-proxy {component} {settings.server_id}",
        "buffer_bytes": options.buffer_bytes,
        "user": named("bus.user_file", options.user, options.user_file) or address.user,
        "password": secret("bus.password_file", options.password, options.password_file)
        or address.password,
        "tls": tls,
        "server_name": options.server_name,
    }


def address_of(options: BusSettings) -> BusAddress:
    """Return where the bus is, and the account that a file with URLs may hold.

    Raises:
        SettingsError: that file can't be read, or holds something else.
    """
    if not options.url_file:
        return BusAddress(urls=options.urls)
    text = text_of("bus.url_file", options.url_file)
    try:
        address = bus_address(text)
        return replace(address, urls=bus_urls(options.kind, address.urls))
    except UrlError as error:
        raise SettingsError([f"bus.url_file {options.url_file}: {error}"]) from error


def _nats(settings: Settings, component: str, tls: ssl.SSLContext | None) -> NatsOptions:
    options = settings.bus
    address = address_of(options)
    return NatsOptions(
        **_common(settings, component, tls, address),
        token=secret("bus.token_file", options.token, options.token_file) or address.token,
        credentials_file=options.credentials_file,
        nkey_seed_file=options.nkey_seed_file,
        inbox_prefix=options.inbox_prefix,
        tls_handshake_first=options.tls_handshake_first,
    )


def _rabbitmq(settings: Settings, component: str, tls: ssl.SSLContext | None) -> RabbitMqOptions:
    declares = component in {"ingest", "standalone"}
    return RabbitMqOptions(
        **_common(settings, component, tls, address_of(settings.bus)),
        registry=topics.registry(ServerId(settings.server_id)) if declares else "",
        heartbeat_seconds=settings.bus.heartbeat_seconds,
    )


def _tls_files(settings: AriSettings | BusSettings) -> list[str]:
    files = settings.ca_file, settings.certificate_file, settings.key_file
    return [file for file in files if file]


def tls_context(group: str, settings: AriSettings | BusSettings) -> ssl.SSLContext | None:
    """Return how to check a server's certificate and show ours, or None if nothing is said of it.

    Raises:
        SettingsError: a file can't be read, or holds something else.
    """
    if not _tls_files(settings):
        return None
    return trusting(group, settings.ca_file, settings.certificate_file, settings.key_file)


def trusting(
    group: str, ca_file: str, certificate_file: str = "", key_file: str = ""
) -> ssl.SSLContext:
    """Return how to check a server's certificate and show ours, by the files of a group's settings.

    Raises:
        SettingsError: a file can't be read, or holds something else.
    """
    files = {"ca_file": ca_file, "certificate_file": certificate_file, "key_file": key_file}
    used = {f"{group}.{name}": file for name, file in files.items() if file}
    _check_readable(used)
    try:
        context = ssl.create_default_context(cafile=ca_file or None)
        if certificate_file:
            context.load_cert_chain(certificate_file, key_file or None)
    except OSError as error:  # Among them ssl.SSLError.
        listed = ", ".join(used.values())
        message = f"{group}: the certificates of {listed} can't be used: {error}"
        raise SettingsError([message]) from error
    return context


def _check_readable(files: dict[str, str]) -> None:
    """Refuse files that can't be read, by their settings: OpenSSL does not say which one."""
    unread: list[str] = []
    for setting, file in files.items():
        try:
            bytes_of(setting, file)
        except SettingsError as error:
            unread += error.problems
    if unread:
        raise SettingsError(unread)
