"""ari-proxy within an application: one Asterisk, no bus and no other process.

Ingest and command run in the application's own event loop, on a bus in memory.
"""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Final, Unpack

import structlog

from . import standalone
from .bus.base import Bus, opened
from .bus.memory.bus import MemoryBroker, MemoryBus
from .client.bus_at import BusAccess
from .client.errors import Misconfigured
from .protocol import topics
from .protocol.ids import ServerId
from .settings.errors import SettingsError
from .settings.load import Settings, load
from .settings.urls import UrlError, bus_address

_log = structlog.get_logger()

#: Seconds that an application waits for its Asterisk before it begins without.
CONNECT_SECONDS: Final = 5.0
#: By a URL's scheme: those of Asterisk's websocket and of its REST interface.
_SCHEMES: Final = {"ari": ("ws", "http"), "aris": ("wss", "https")}


@asynccontextmanager
async def embedded_bus(settings: Settings) -> AsyncIterator[Bus]:
    """Run ingest and command around a block, and yield the bus that they use.

    Calls can be placed once Asterisk has registered the application: that is awaited for
    `CONNECT_SECONDS`.

    Args:
        settings: of both, as `embedded_settings` makes them.
    """
    broker, stop = MemoryBroker(), asyncio.Event()
    failure: Exception | None = None
    async with asyncio.TaskGroup() as tasks:
        serving = standalone.serve(
            [settings], ["ingest", "command"], stop, bus_of=lambda *_: MemoryBus(broker)
        )
        async with opened(MemoryBus(broker)) as bus:
            try:
                async with _connected(bus, ServerId(settings.server_id)):
                    tasks.create_task(serving)
                yield bus
            except Exception as error:  # noqa: BLE001  raised again, outside of the task groups
                failure = error
            finally:
                stop.set()
    if failure is not None:
        raise failure


@asynccontextmanager
async def _connected(bus: Bus, server: ServerId) -> AsyncIterator[None]:
    """Begin to connect in a block; wait behind it until ingest has Asterisk's events."""
    is_connected = asyncio.Event()
    # After each connect it tells which dialogs are open, which is ProxyRecovered.
    told = await bus.subscribe(topics.events(server), lambda _: is_connected.set())
    yield
    try:
        async with asyncio.timeout(CONNECT_SECONDS):
            await is_connected.wait()
    except TimeoutError:
        _log.warning("asterisk.away", server=server, waited_seconds=CONNECT_SECONDS)
    finally:
        await told.unsubscribe()


def embedded_settings(url: str, application: str, **access: Unpack[BusAccess]) -> Settings:
    """Return the settings of ingest and command; the environment has those that are not here.

    Args:
        url: `ari://user:password@host:port` of an Asterisk, or `aris://…` with TLS.
        application: the Stasis application.
        access: account and TLS, with the names of the settings `ari`.

    Raises:
        Misconfigured: one of them can't be used; neither URL nor password is shown.
    """
    scheme, where, account = _read(url)
    websocket, rest = _SCHEMES[scheme]
    try:
        return load(
            applications=(application,),
            ari={
                "websocket_url": f"{websocket}://{where}/ari/events",
                "rest_url": f"{rest}://{where}/ari",
                **account,
                **access,
            },
            # It is not used, whatever the environment says of another one.
            bus={"kind": "NATS", "urls": ("nats://127.0.0.1",)},
            admin={"enabled": False},
            recorder={"enabled": False},  # Nobody else is on its bus, to ask for calls.
        )
    except SettingsError as error:
        raise Misconfigured(str(error)) from error


def _read(url: str) -> tuple[str, str, dict[str, str]]:
    """Return scheme, host and port with the path before `/ari`, and account."""
    problem = "names more than one Asterisk"
    try:
        address = bus_address(url)
    except UrlError as error:
        problem = str(error)
    else:
        if len(address.urls) == 1:
            scheme, _, where = address.urls[0].partition("://")
            account = {"user": address.user or address.token, "password": address.password}
            return scheme, where, {name: value for name, value in account.items() if value}
    raise Misconfigured(f"the URL of Asterisk {problem}")
