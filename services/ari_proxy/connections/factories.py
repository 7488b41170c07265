"""Clients of Asterisk and of the bus, made from settings."""

import ssl
from dataclasses import replace
from typing import TypedDict

from websockets.asyncio.client import ClientConnection

from ari_proxy.ari.rest import RestClient
from ari_proxy.ari.websocket import BACKOFF, EventSocket
from ari_proxy.backoff import Backoff
from ari_proxy.bus.base import Bus
from ari_proxy.bus.nats.bus import NatsBus
from ari_proxy.bus.nats.options import NatsOptions
from ari_proxy.bus.rabbitmq.bus import RabbitMqBus
from ari_proxy.bus.rabbitmq.options import RabbitMqOptions
from ari_proxy.protocol import topics
from ari_proxy.protocol.ids import ServerId
from ari_proxy.settings.bus import BusSettings
from ari_proxy.settings.errors import SettingsError
from ari_proxy.settings.files import read_secret, read_text, read_value
from ari_proxy.settings.load import Settings
from ari_proxy.settings.urls import BusAddress, UrlError, bus_address, bus_urls

from .credentials import RotatingCredentials
from .rereading import last_good
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
    """Return a client of the bus.

    Args:
        settings: of all components.
        component: shows in the bus's list of connections; `ingest` and `standalone` declare queues.

    Raises:
        SettingsError: a secret or a certificate can't be read.
    """
    tls = RotatingTls("bus", settings.bus)
    if settings.bus.kind == "RABBITMQ":
        rabbitmq = last_good(lambda: _rabbitmq(settings, component, tls()))
        return RabbitMqBus(replace(rabbitmq(), renewed=rabbitmq))
    nats = last_good(lambda: _nats(settings, component, tls()))
    return NatsBus(replace(nats(), renewed=nats))


class _Common(TypedDict):
    """Options of both buses; the fields are those of `BusOptions`."""

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
        "user": read_value("bus.user_file", options.user, options.user_file) or address.user,
        "password": read_secret("bus.password_file", options.password, options.password_file)
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
    text = read_text("bus.url_file", options.url_file)
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
        token=read_secret("bus.token_file", options.token, options.token_file) or address.token,
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
