"""The demo: a bus, an Asterisk, both services and an application, in one process."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import suppress
from typing import Final, TypeVar
from urllib.parse import urlencode, urlsplit

from ari_proxy import standalone
from ari_proxy.ari.errors import TransportError
from ari_proxy.ari.rest import RestClient
from ari_proxy.bus.base import Bus, opened
from ari_proxy.bus.errors import BusError
from ari_proxy.client.application import Application
from ari_proxy.connections import factories
from ari_proxy.protocol import topics
from ari_proxy.protocol.ids import DialogId, ServerId
from ari_proxy.settings.load import Settings, load
from ari_proxy.settings.urls import UrlError, bus_address, plain_url
from ari_proxy.simulator import server as simulator
from ari_proxy.tap.records import TapRecord
from ari_proxy.tap.watcher import Watcher
from ari_proxy.watch import ladder
from ari_proxy.watch.formats import Format
from ari_proxy.watch.render.descriptions import message_of

from . import nats_server as embedded
from .application import DIGITS, DigitCollector

T = TypeVar("T")
APPLICATION: Final = "ari-proxy-demo"
SERVER_ID: Final = "asterisk-demo"
#: User name and password of the simulator.
USER: Final = "ari"
#: Seconds until everything is connected, and until all calls are done.
READY_SECONDS: Final = 15.0
CALLS_SECONDS: Final = 30.0
CLEAN_UP_SECONDS: Final = 5.0


class DemoFailedError(Exception):
    """The demo failed."""


class Record:
    """Tap records of a run, by dialog."""

    def __init__(self) -> None:
        self.dialogs: dict[str, list[TapRecord]] = {}
        self.ended: set[str] = set()
        self._changed = asyncio.Event()

    async def keep(self, records: AsyncIterator[TapRecord]) -> None:
        """Store records until cancelled."""
        async for record in records:
            self.dialogs.setdefault(record.dialog_id, []).append(record)
            if message_of(record).get("type") == "StasisEnd":
                self.ended.add(record.dialog_id)
                self._changed.set()

    async def until_ended(self, calls: int) -> None:
        """Return once this many dialogs have ended."""
        while len(self.ended) < calls:
            self._changed.clear()
            await self._changed.wait()

    def ladders(self) -> list[str]:
        """Return the ladder of each dialog."""
        return [
            ladder.draw(Format.TEXT, dialog, records) for dialog, records in self.dialogs.items()
        ]


async def run_demo(
    stop: asyncio.Event, *, asterisk: str, endpoint: str, calls: int, bus: str
) -> None:
    """Place calls, serve them, and print a ladder of each.

    Args:
        stop: set to end early.
        asterisk: `http://host:port` of a real Asterisk, or '' for the simulator.
        endpoint: the ARI endpoint to call, like `Local/dtmf-1234@default`.
        calls: number of calls to place.
        bus: `nats://…` or `amqp://…` of a running server, or '' to start a nats-server.

    Raises:
        DemoFailedError: a call did not end, or its digits did not arrive.
    """
    with embedded.nats_server(enabled=not bus) as server:
        async with asyncio.TaskGroup() as tasks:
            stopping = asyncio.Event()
            tasks.create_task(_stop_with(stop, stopping))
            try:
                simulated = (
                    {"user": USER, "password": USER, "password_file": ""} if not asterisk else {}
                )
                url = asterisk or await _simulate(tasks, stopping)
                settings = _settings(url, simulated, bus or server.url)
                serving = standalone.serve([settings], ["ingest", "command"], stopping)
                services = tasks.create_task(serving)
                async with opened(factories.bus(settings, "demo")) as own_bus:
                    record = Record()
                    try:
                        await _serve_calls(settings, own_bus, record, endpoint, calls)
                    finally:
                        stopping.set()
                        await asyncio.wait([services])
                        await _clean_up(own_bus, record)
            finally:
                stopping.set()
                stop.set()


async def _clean_up(bus: Bus, record: Record) -> None:
    """Delete the demo's queues from the bus, which may be the user's own server."""
    if bus.queues is None:
        return
    server = ServerId(SERVER_ID)
    names = [APPLICATION, topics.commands(server), topics.registry(server)]
    names += [name for dialog in record.dialogs for name in topics.of_dialog(DialogId(dialog))]
    with suppress(BusError, TimeoutError):
        async with asyncio.timeout(CLEAN_UP_SECONDS):
            await bus.queues.delete(names)


async def _stop_with(stop: asyncio.Event, stopping: asyncio.Event) -> None:
    await stop.wait()
    stopping.set()


async def _simulate(tasks: asyncio.TaskGroup, stop: asyncio.Event) -> str:
    port: asyncio.Future[int] = asyncio.get_running_loop().create_future()
    serving = simulator.serve(stop, port=0, user=USER, password=USER, listening=port.set_result)
    tasks.create_task(serving)
    return f"http://127.0.0.1:{await port}"


def _settings(asterisk: str, account: dict[str, str], bus_url: str) -> Settings:
    parts = urlsplit(_read("--asterisk", lambda: plain_url(asterisk, ("http", "https"))))
    address = _read("--bus", lambda: bus_address(bus_url))
    secure = "s" if parts.scheme == "https" else ""
    is_rabbitmq = any(url.startswith("amqp") for url in address.urls)
    return load(
        server_id=SERVER_ID,
        applications=(APPLICATION,),
        ari={
            "websocket_url": f"ws{secure}://{parts.netloc}/ari/events",
            "rest_url": f"http{secure}://{parts.netloc}/ari",
            **account,
        },
        bus={"kind": "RABBITMQ" if is_rabbitmq else "NATS", **address.settings()},
        admin={"enabled": False},
    )


def _read(option: str, read: Callable[[], T]) -> T:
    try:
        return read()
    except UrlError as error:
        raise DemoFailedError(f"{option} {error}") from error


async def _serve_calls(
    settings: Settings, bus: Bus, record: Record, endpoint: str, calls: int
) -> None:
    collector = DigitCollector()
    await _within(READY_SECONDS, "the bus is not connected", bus.wait_connected())
    async with asyncio.TaskGroup() as tasks, factories.rest_client(settings) as rest:
        application = Application(bus, APPLICATION, collector.serve)
        serving = tasks.create_task(application.run())
        await _within(READY_SECONDS, "Asterisk is not ready", _registered(rest))
        async with Watcher(bus, ServerId(SERVER_ID)).watching() as records:
            keeping = tasks.create_task(record.keep(records))
            for _ in range(calls):
                query = urlencode({"endpoint": endpoint, "app": APPLICATION})
                answer = await rest.request("POST", f"/channels?{query}")
                if answer.status != 200:  # noqa: PLR2004  HTTP's OK
                    raise DemoFailedError(f"no call to {endpoint}: {answer.status} {answer.body}")
            try:
                await _within(CALLS_SECONDS, "a call has not ended", record.until_ended(calls))
            finally:
                # Of a call that has not ended, it shows what is missing.
                print("\n\n".join(record.ladders()))
            keeping.cancel()
        serving.cancel()
    served = [digits for digits in collector.digits.values() if len(digits) == DIGITS]
    print(f"\n{len(served)} of {calls} calls served, digits: {', '.join(served)}")
    if len(served) != calls:
        raise DemoFailedError(f"only {len(served)} of {calls} calls were served")


async def _within(seconds: float, failure: str, work: Awaitable[None]) -> None:
    try:
        async with asyncio.timeout(seconds):
            await work
    except TimeoutError as error:
        raise DemoFailedError(f"{failure} after {seconds:g} s") from error


async def _registered(rest: RestClient) -> None:
    """Wait until ingest has registered the application with Asterisk."""
    while True:
        with suppress(TransportError):
            answer = await rest.request("GET", f"/applications/{APPLICATION}")
            if answer.status == 200:  # noqa: PLR2004  HTTP's OK
                return
        await asyncio.sleep(0.05)
