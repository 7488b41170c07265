"""Clients of Asterisk and of the bus, made from settings."""

from websockets.asyncio.client import ClientConnection

from ari_proxy.ari.rest import RestClient
from ari_proxy.ari.websocket import BACKOFF, EventSocket
from ari_proxy.backoff import Backoff
from ari_proxy.bus.base import Bus
from ari_proxy.settings.load import Settings

from .credentials import RotatingCredentials
from .tls import RotatingTls


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
    """Return a client of the bus; the other bus's library is not imported.

    Args:
        settings: of all components.
        component: shows in the bus's list of connections; `ingest` and `standalone` declare queues.

    Raises:
        SettingsError: a secret or a certificate can't be read.
    """
    if settings.bus.kind == "RABBITMQ":
        from .rabbitmq import rabbitmq_bus  # noqa: PLC0415  see above

        return rabbitmq_bus(settings, component)
    from .nats import nats_bus  # noqa: PLC0415  see above

    return nats_bus(settings, component)
