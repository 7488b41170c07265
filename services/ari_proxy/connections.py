"""Clients made from the settings: of Asterisk and of the bus."""

import contextlib
import ssl
import time
from collections.abc import Callable
from typing import Final

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


def rest_client(settings: Settings) -> RestClient:
    """Return a client of Asterisk's REST interface."""
    return RestClient(
        settings.ari.rest_url,
        RotatingCredentials(settings.ari),
        concurrency=settings.ari.max_connections,
        timeout_seconds=settings.ari.timeout_seconds,
    )


def event_socket(settings: Settings) -> EventSocket:
    """Return a client of Asterisk's events websocket."""
    return EventSocket(
        settings.ari.websocket_url,
        settings.applications,
        RotatingCredentials(settings.ari),
        origin=settings.ari.origin,
        subscribe_all=settings.ari.subscribe_all,
    )


def bus(settings: Settings, component: str) -> Bus:
    """Return a client of the bus.

    Args:
        settings: of all components.
        component: shows in the bus's list of connections; `ingest` and `standalone` declare queues.

    Raises:
        SettingsError: a secret or a certificate can't be read.
    """
    return (
        _rabbitmq(settings, component)
        if settings.bus.kind == "RABBITMQ"
        else _nats(settings, component)
    )


def _nats(settings: Settings, component: str) -> NatsBus:
    options = settings.bus
    return NatsBus(
        NatsOptions(
            urls=options.urls,
            name=_name(settings, component),
            buffer_bytes=options.buffer_bytes,
            user=options.user,
            password=secret(options.password, options.password_file),
            token=options.token.get_secret_value(),
            credentials_file=options.credentials_file,
            tls=tls_context(options),
        )
    )


def _rabbitmq(settings: Settings, component: str) -> RabbitMqBus:
    options = settings.bus
    declares = component in {"ingest", "standalone"}
    return RabbitMqBus(
        RabbitMqOptions(
            urls=options.urls,
            name=_name(settings, component),
            buffer_bytes=options.buffer_bytes,
            user=options.user,
            password=secret(options.password, options.password_file),
            tls=tls_context(options),
            registry=topics.registry(ServerId(settings.server_id)) if declares else "",
        )
    )


def _name(settings: Settings, component: str) -> str:
    return f"ari-proxy {component} {settings.server_id}"


def tls_context(settings: BusSettings) -> ssl.SSLContext | None:
    """Return how to check the bus's certificate and show ours, or None if nothing is said of it.

    Raises:
        SettingsError: a file can't be read, or holds something else.
    """
    if not (settings.ca_file or settings.certificate_file):
        return None
    try:
        context = ssl.create_default_context(cafile=settings.ca_file or None)
        if settings.certificate_file:
            context.load_cert_chain(settings.certificate_file, settings.key_file or None)
    except OSError as error:  # Among them ssl.SSLError.
        files = settings.ca_file, settings.certificate_file, settings.key_file
        named = ", ".join(file for file in files if file)
        raise SettingsError([f"bus: the certificates of {named} can't be used: {error}"]) from error
    return context
