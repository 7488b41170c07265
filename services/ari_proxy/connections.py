"""Clients made from the settings: of Asterisk and of the bus."""

import contextlib
import ssl
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Final, TypedDict, TypeVar

from .ari.rest import Credentials, RestClient
from .ari.websocket import EventSocket
from .bus.base import Bus
from .bus.nats import NatsBus
from .bus.nats_options import NatsOptions
from .bus.rabbitmq import RabbitMqBus
from .bus.rabbitmq_options import RabbitMqOptions
from .protocol import topics
from .protocol.ids import ServerId
from .settings.errors import SettingsError
from .settings.groups import AriSettings, BusSettings
from .settings.load import Settings, secret

T = TypeVar("T")
#: Seconds after which a changed password file is noticed.
REREAD_SECONDS: Final = 5.0


class RotatingCredentials:
    """The user of ari.conf; a password file is read again now and then, so that it may change."""

    def __init__(
        self, settings: AriSettings, *, clock: Callable[[], float] = time.monotonic
    ) -> None:
        self._settings = settings
        self._clock = clock
        self._current = self._read()
        self._read_at = clock()

    def __call__(self) -> Credentials:
        """Return what to log in with now."""
        if self._settings.password_file and self._clock() - self._read_at > REREAD_SECONDS:
            self._read_at = self._clock()
            with contextlib.suppress(SettingsError):  # A file that is being replaced: next time.
                self._current = self._read()
        return self._current

    def _read(self) -> Credentials:
        settings = self._settings
        return Credentials(settings.user, secret(settings.password, settings.password_file))


class RotatingTls:
    """How to check a server's certificate and show ours; read again when a file has changed."""

    def __init__(self, group: str, settings: AriSettings | BusSettings) -> None:
        self._group = group
        self._settings = settings
        self._stamps = self._read_stamps()
        self._context = tls_context(group, settings)

    def __call__(self) -> ssl.SSLContext | None:
        """Return what is true now, or None if nothing is said of certificates."""
        stamps = self._read_stamps()
        if stamps != self._stamps:
            with contextlib.suppress(SettingsError):  # Files that are being replaced: next time.
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
    return RestClient(
        settings.ari.rest_url,
        RotatingCredentials(settings.ari),
        concurrency=settings.ari.max_connections,
        timeout_seconds=settings.ari.timeout_seconds,
        tls=RotatingTls("ari", settings.ari),
    )


def event_socket(settings: Settings) -> EventSocket:
    """Return a client of Asterisk's events websocket.

    Raises:
        SettingsError: a secret or a certificate can't be read.
    """
    return EventSocket(
        settings.ari.websocket_url,
        settings.applications,
        RotatingCredentials(settings.ari),
        origin=settings.ari.origin,
        subscribe_all=settings.ari.subscribe_all,
        tls=RotatingTls("ari", settings.ari),
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

    def current() -> T:
        nonlocal last
        with contextlib.suppress(SettingsError):  # A file that is being replaced: next time.
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


def _common(settings: Settings, component: str, tls: ssl.SSLContext | None) -> _Common:
    options = settings.bus
    return {
        "urls": options.urls,
        "name": f"ari-proxy {component} {settings.server_id}",
        "buffer_bytes": options.buffer_bytes,
        "user": options.user,
        "password": secret(options.password, options.password_file),
        "tls": tls,
    }


def _nats(settings: Settings, component: str, tls: ssl.SSLContext | None) -> NatsOptions:
    options = settings.bus
    return NatsOptions(
        **_common(settings, component, tls),
        token=secret(options.token, options.token_file),
        credentials_file=options.credentials_file,
        nkey_seed_file=options.nkey_seed_file,
    )


def _rabbitmq(settings: Settings, component: str, tls: ssl.SSLContext | None) -> RabbitMqOptions:
    declares = component in {"ingest", "standalone"}
    return RabbitMqOptions(
        **_common(settings, component, tls),
        registry=topics.registry(ServerId(settings.server_id)) if declares else "",
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
    try:
        context = ssl.create_default_context(cafile=settings.ca_file or None)
        if settings.certificate_file:
            context.load_cert_chain(settings.certificate_file, settings.key_file or None)
    except OSError as error:  # Among them ssl.SSLError.
        named = ", ".join(_tls_files(settings))
        message = f"{group}: the certificates of {named} can't be used: {error}"
        raise SettingsError([message]) from error
    return context
