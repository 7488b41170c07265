"""Clients of Asterisk and of the bus, made from settings."""

import asyncio
from collections.abc import AsyncIterator, Callable, Collection
from contextlib import asynccontextmanager

from ari_proxy.ari import rest_sockets, websocket_names
from ari_proxy.ari.accepted_rest_sockets import AcceptedRestSockets
from ari_proxy.ari.availability import AlwaysAvailable, Availability, CommandWay
from ari_proxy.ari.client import AriClient
from ari_proxy.ari.either_client import EitherClient
from ari_proxy.ari.listener import Listener, Refusal
from ari_proxy.ari.no_http import NoHttp
from ari_proxy.ari.outbound_events import OutboundEvents
from ari_proxy.ari.rest import RestClient
from ari_proxy.ari.rest_pool import RestPool
from ari_proxy.ari.rest_sockets import RestSockets
from ari_proxy.ari.tls import AriTls
from ari_proxy.ari.websocket import BACKOFF, DialledConnection, EventSocket
from ari_proxy.ari.websocket_client import WebsocketClient
from ari_proxy.backoff import Backoff
from ari_proxy.bus.base import Bus
from ari_proxy.settings.fields import host_and_port
from ari_proxy.settings.load import Settings

from .credentials import RotatingCredentials
from .tls import ListenerTls, RotatingTls

#: Where all works by HTTP without these websockets, their failed attempts need not fill the log.
_REST_BACKOFF = Backoff(first_seconds=0.25, last_seconds=60.0)


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
        tls=_ari_tls(settings),
    )


@asynccontextmanager
async def command_way(
    settings: Settings,
    rest: RestClient,
    listener: Listener | None = None,
    watch: Callable[[RestPool], None] = lambda _: None,
) -> AsyncIterator[CommandWay]:
    """Run the client that sends commands, over what the settings allow.

    Args:
        settings: of all components.
        rest: sends what goes by HTTP.
        listener: for the websockets that Asterisk opens; None if we open them.
        watch: called with the websockets, if there are any.

    Raises:
        SettingsError: a secret or a certificate can't be read.
    """
    if settings.command.transport == "http":
        yield CommandWay(rest)
        return
    pool = RestPool()
    watch(pool)
    client = _client_on(pool, settings, rest)
    availability: Availability = AlwaysAvailable()
    sockets: RestSockets | AcceptedRestSockets
    if listener is None:
        sockets = _rest_sockets(pool, settings)
    else:
        sockets = availability = _accepted_rest_sockets(pool, settings, listener)
    async with asyncio.TaskGroup() as tasks:
        running = tasks.create_task(sockets.run())
        try:
            yield CommandWay(client, availability)
        finally:
            running.cancel()


def _client_on(pool: RestPool, settings: Settings, rest: RestClient) -> AriClient:
    """Return a client that sends on websockets.

    Without HTTP, or where Asterisk opens the websockets because it can't be reached, a request
    waits for one.
    """
    concurrency, seconds = settings.ari.max_connections, settings.ari.timeout_seconds
    is_only = settings.command.transport == "websocket"
    if is_only or settings.ari.connection == "outbound":
        http = NoHttp() if is_only else rest
        return WebsocketClient(pool, http, concurrency=concurrency, timeout_seconds=seconds)
    return EitherClient(pool, rest, concurrency=concurrency, timeout_seconds=seconds)


def _accepted_rest_sockets(
    pool: RestPool, settings: Settings, listener: Listener
) -> AcceptedRestSockets:
    number = settings.command.websockets
    applications = tuple(websocket_names.command_application(n + 1) for n in range(number))
    commands = websocket_names.commands_path(settings.server_id)
    path = listener.register(commands, applications, RotatingCredentials(settings.ari))
    return AcceptedRestSockets(pool, path, number)


def _rest_sockets(pool: RestPool, settings: Settings) -> RestSockets:
    is_only = settings.command.transport == "websocket"
    credentials, tls = RotatingCredentials(settings.ari), _ari_tls(settings)
    sockets = [
        EventSocket(
            settings.ari.websocket_url,
            (rest_sockets.application_name(),),
            credentials,
            origin=settings.ari.origin,
            tls=tls,
            backoff=BACKOFF if is_only else _REST_BACKOFF,
        )
        for _ in range(settings.command.websockets)
    ]
    return RestSockets(pool, sockets)


def event_socket(
    settings: Settings,
    *,
    backoff: Backoff = BACKOFF,
    connection: type[DialledConnection] = DialledConnection,
) -> EventSocket:
    """Return a client of Asterisk's events websocket.

    Args:
        settings: of all components.
        backoff: between attempts that fail.
        connection: what the library makes.

    Raises:
        SettingsError: a secret or a certificate can't be read.
    """
    return EventSocket(
        settings.ari.websocket_url,
        settings.applications,
        RotatingCredentials(settings.ari),
        origin=settings.ari.origin,
        subscribe_all=settings.ari.subscribe_all,
        tls=_ari_tls(settings),
        backoff=backoff,
        connection=connection,
    )


def listener(
    settings: Settings, count_refused: Callable[[Refusal], None] = lambda _: None
) -> Listener:
    """Return the server for the websockets that Asterisk opens.

    Args:
        settings: of all components.
        count_refused: called for each peer that is refused.

    Raises:
        SettingsError: a secret or a certificate can't be read.
    """
    return Listener(
        host_and_port(settings.ari.listen),
        RotatingCredentials(settings.ari),
        tls=ListenerTls(settings.ari) if settings.ari.listen_certificate_file else None,
        count_refused=count_refused,
    )


def expect_asterisk(settings: Settings, listener: Listener, components: Collection[str]) -> None:
    """Have a server's Asterisk answered 503 until its services register the same paths.

    Args:
        settings: of all components.
        listener: where it connects to.
        components: the server's services in this process.

    Raises:
        SettingsError: a secret can't be read.
    """
    server, paths = settings.server_id, list[str]()
    if "ingest" in components:
        paths.append(websocket_names.events_path(server))
    if "command" in components and settings.command.transport != "http":
        paths.append(websocket_names.commands_path(server))
    credentials = RotatingCredentials(settings.ari)
    for path in paths:
        listener.register(path, (), credentials)


def outbound_events(
    settings: Settings, listener: Listener, *, made: type[OutboundEvents] = OutboundEvents
) -> OutboundEvents:
    """Return the events of an Asterisk that connects to us, and the client of its requests.

    Args:
        settings: of all components.
        listener: where it connects to.
        made: what is returned.
    """
    events = websocket_names.events_path(settings.server_id)
    path = listener.register(events, settings.applications, RotatingCredentials(settings.ari))
    return made(path, timeout_seconds=settings.ari.timeout_seconds)


def _ari_tls(settings: Settings) -> AriTls:
    return AriTls(RotatingTls("ari", settings.ari), settings.ari.server_name)


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
