"""The proxy, an application and Asterisk in one process: over the bus in memory."""

import asyncio
import itertools
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from typing import Generic, TypeVar
from urllib.parse import urlencode

import msgspec

from ari_proxy.ari.rest import RestClient
from ari_proxy.bus.base import Bus, opened
from ari_proxy.bus.memory.bus import MemoryBroker, MemoryBus
from ari_proxy.client.application import Application
from ari_proxy.client.call import Call
from ari_proxy.command.service import CommandService
from ari_proxy.connections import factories
from ari_proxy.ingest.parts import Surroundings
from ari_proxy.ingest.service import IngestService
from ari_proxy.protocol.ids import ServerId
from ari_proxy.settings.load import Settings, load
from ari_proxy.simulator import server
from ari_proxy.tap.records import TapRecord
from ari_proxy.tap.tap import Tap
from ari_proxy.tap.watcher import Watcher
from ari_proxy.telemetry.metrics import Metrics
from ari_proxy.telemetry.traces import Traces
from tests.support.calls import RestServer, asterisk_client
from tests.support.running import until, until_serving
from tests.support.servers import PASSWORD

_numbers = itertools.count()
ResultT = TypeVar("ResultT")
Handler = Callable[[Call], Awaitable[ResultT]]


class SimulatedServer:
    """The simulator on a port of this machine."""

    def __init__(self, port: int) -> None:
        self.url = f"http://127.0.0.1:{port}/ari"


@asynccontextmanager
async def simulator() -> AsyncIterator[SimulatedServer]:
    """Run a simulated Asterisk around a block."""
    stop = asyncio.Event()
    listening: asyncio.Future[int] = asyncio.get_running_loop().create_future()
    async with asyncio.TaskGroup() as tasks:
        serving = server.serve(
            stop, port=0, user="ari", password=PASSWORD, listening=listening.set_result
        )
        tasks.create_task(serving)
        try:
            yield SimulatedServer(await listening)
        finally:
            stop.set()


class Served(Generic[ResultT]):
    """What has become of a call that was placed."""

    def __init__(self) -> None:
        self._result: asyncio.Future[ResultT] = asyncio.get_running_loop().create_future()

    async def result(self) -> ResultT:
        """Return what the handler has returned, or raise what it has raised."""
        return await self._result

    async def wait(self) -> None:
        """Wait until the handler has returned or raised."""
        async with asyncio.timeout(30):
            await asyncio.wait([self._result])

    async def serve(self, handler: Handler[ResultT], call: Call) -> None:
        """Have a handler serve the call."""
        try:
            self._result.set_result(await handler(call))
        except Exception as error:  # noqa: BLE001  of whatever kind: the test gets it
            self._result.set_exception(error)


class CallScene:
    """Calls from outside to one application."""

    def __init__(self, bus: Bus, rest: RestClient, application: str) -> None:
        self.bus = bus
        self.rest = rest
        self.application = application
        #: Bridges that another test on the same Asterisk has left.
        self._foreign: set[object] = set()

    async def note_foreign_bridges(self) -> None:
        """Take the bridges that there are for those of others."""
        self._foreign = {bridge["id"] for bridge in await self.listed("/bridges")}

    async def own_bridges(self) -> set[object]:
        """Return the ids of the bridges that this scene has made."""
        return {bridge["id"] for bridge in await self.listed("/bridges")} - self._foreign

    @asynccontextmanager
    async def recording(self) -> AsyncIterator[list[TapRecord]]:
        """Collect copies of all messages during a block, as `ari-proxy tail` does."""
        found: list[TapRecord] = []
        async with (
            Watcher(self.bus, ServerId("server-1")).watching() as records,
            asyncio.TaskGroup() as tasks,
        ):

            async def take() -> None:
                async for record in records:
                    found.append(record)  # noqa: PERF401  it is read meanwhile

            taking = tasks.create_task(take())
            yield found
            taking.cancel()

    @asynccontextmanager
    async def calling(
        self, handler: Handler[ResultT], extension: str = "answer"
    ) -> AsyncIterator[Served[ResultT]]:
        """Have somebody call; `extension` is what the caller does."""
        async with self.serving(handler) as served:
            query = {"endpoint": f"Local/{extension}@default/n", "app": self.application}
            answer = await self.rest.request("POST", f"/channels?{urlencode(query)}")
            assert answer.status == 200, answer
            yield served

    @asynccontextmanager
    async def serving(self, handler: Handler[ResultT]) -> AsyncIterator[Served[ResultT]]:
        """Serve the next call, whoever makes it."""
        served: Served[ResultT] = Served()
        async with asyncio.TaskGroup() as tasks:

            async def serve(call: Call) -> None:
                await served.serve(handler, call)

            application = Application(self.bus, self.application, serve)
            running = tasks.create_task(application.run())
            try:
                yield served
            finally:
                running.cancel()

    async def served(self, handler: Handler[ResultT], extension: str = "answer") -> ResultT:
        """Have somebody call, and return what a handler returns; nothing is left then."""
        async with self.calling(handler, extension) as served:
            await served.wait()
        await self.until_nothing_is_left()
        return await served.result()

    async def until_nothing_is_left(self) -> None:
        """Hang up callers, and wait until there is no channel, and no bridge of this scene."""

        async def is_empty() -> bool:
            channels = await self.listed("/channels")
            for channel in channels:
                await self.rest.request("DELETE", f"/channels/{channel['id']}")
            return not channels and not await self.own_bridges()

        await until(is_empty)

    async def listed(self, path: str) -> list[dict[str, object]]:
        """Return what Asterisk lists."""
        answer = await self.rest.request("GET", path)
        return msgspec.json.decode(answer.body, type=list[dict[str, object]])


@asynccontextmanager
async def call_scene(asterisk: RestServer) -> AsyncIterator[CallScene]:
    """Run ingest and command for an Asterisk, on a bus in memory."""
    application = f"helpers{next(_numbers)}"
    settings = _settings(asterisk, application)
    broker = MemoryBroker()
    stop = asyncio.Event()
    async with (
        opened(MemoryBus(broker)) as bus,
        opened(MemoryBus(broker)) as own,
        factories.rest_client(settings) as rest,
        factories.command_way(settings, rest) as way,
        asterisk_client(asterisk) as outside,
        asyncio.TaskGroup() as tasks,
    ):
        metrics, tap, traces = Metrics(), Tap(ServerId(settings.server_id), bus), Traces()
        around = Surroundings(
            settings=settings, bus=bus, rest=rest, metrics=metrics, tap=tap, traces=traces
        )
        await tap.listen()
        ingest = IngestService(around, factories.event_socket(settings))
        command = CommandService(settings, bus, way, metrics, tap=tap, traces=traces)
        tasks.create_task(ingest.run(stop))
        tasks.create_task(command.run(stop))
        try:
            await until_serving(own)

            async def is_registered() -> bool:
                answer = await outside.request("GET", f"/applications/{application}")
                return answer.status == 200

            await until(is_registered)
            scene = CallScene(own, outside, application)
            await scene.note_foreign_bridges()
            yield scene
        finally:
            stop.set()


def _settings(asterisk: RestServer, application: str) -> Settings:
    return load(
        server_id="server-1",
        applications=(application,),
        ari={
            "rest_url": asterisk.url,
            "websocket_url": asterisk.url.replace("http://", "ws://") + "/events",
            "user": "ari",
            "password": PASSWORD,
        },
        bus={"kind": "NATS"},
        admin={"enabled": False},
    )
