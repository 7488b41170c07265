"""Clients made from the settings: of Asterisk and of the bus."""

import contextlib
import time
from collections.abc import Callable
from typing import Final

from .ari.rest import Credentials, RestClient
from .ari.websocket import EventSocket
from .bus.nats import NatsBus
from .bus.nats_options import NatsOptions
from .settings.errors import SettingsError
from .settings.groups import AriSettings
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


def bus(settings: Settings, component: str) -> NatsBus:
    """Return a client of the bus."""
    options = settings.bus
    return NatsBus(
        NatsOptions(
            urls=options.urls,
            name=f"ari-proxy {component} {settings.server_id}",
            buffer_bytes=options.buffer_bytes,
            user=options.user,
            password=secret(options.password, options.password_file),
            token=options.token.get_secret_value(),
            credentials_file=options.credentials_file,
        )
    )
