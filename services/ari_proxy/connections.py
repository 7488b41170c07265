"""Clients made from the settings: of Asterisk and of the bus."""

from urllib.parse import urlsplit

from .ari.rest import Credentials, RestClient
from .ari.websocket import EventSocket
from .bus.nats import NatsBus, NatsOptions
from .settings.load import Settings, secret


def credentials(settings: Settings) -> Credentials:
    """Return the user of ari.conf; a password file is read each time, so that it may change."""
    return Credentials(settings.ari.user, secret(settings.ari.password, settings.ari.password_file))


def rest_client(settings: Settings) -> RestClient:
    """Return a client of Asterisk's REST interface."""
    return RestClient(
        settings.ari.rest_url,
        lambda: credentials(settings),
        concurrency=settings.ari.max_connections,
        timeout_seconds=settings.ari.timeout_seconds,
    )


def event_socket(settings: Settings) -> EventSocket:
    """Return a client of Asterisk's events websocket."""
    return EventSocket(
        settings.ari.websocket_url,
        settings.applications,
        lambda: credentials(settings),
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


def host_and_port(url: str) -> tuple[str, int]:
    """Return where a URL points to."""
    parts = urlsplit(url)
    return parts.hostname or "127.0.0.1", parts.port or 80
