"""Calls beyond what one worker may serve at once go to others, on each kind of bus."""

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, field

import pytest

from ari_proxy import standalone
from ari_proxy.bus.base import Bus, opened
from ari_proxy.bus.memory.bus import MemoryBroker, MemoryBus
from ari_proxy.bus.memory.durable import DurableMemoryBroker, DurableMemoryBus
from ari_proxy.client.application import Application
from ari_proxy.client.bus_at import bus_at
from ari_proxy.client.call import Call
from ari_proxy.connections import factories
from ari_proxy.settings.load import Settings, load
from tests.support.running import until
from tests.support.scripted_asterisk import ScriptedAsterisk, channel_event, scripted_asterisk
from tests.support.servers import PASSWORD, BusServer

APPLICATION = "places"
WORKERS = 2
PLACES = 2


@dataclass(frozen=True)
class Kind:
    """A kind of bus."""

    settings: dict[str, object]
    #: Makes the client of an ingest, and of a worker.
    of_ingest: Callable[[Settings, str], Bus]
    of_worker: Callable[[], Bus]


@pytest.fixture(params=["memory", "memory_durable", "nats", "rabbitmq"])
def kind(request: pytest.FixtureRequest) -> Kind:
    if request.param == "memory":
        broker = MemoryBroker()
        return Kind({}, lambda *_: MemoryBus(broker), lambda: MemoryBus(broker))
    if request.param == "memory_durable":
        keeping = DurableMemoryBroker()
        return Kind(
            {},
            lambda *_: DurableMemoryBus(keeping, registry="registry"),
            lambda: DurableMemoryBus(keeping),
        )
    name = {"nats": "nats_server", "rabbitmq": "rabbitmq_link"}[request.param]
    server: BusServer = request.getfixturevalue(name)
    settings: dict[str, object] = {"kind": server.kind, "urls": (server.url,)}
    return Kind(settings, factories.bus, lambda: bus_at(server.url, name="worker"))


@dataclass
class Worker:
    """What one worker serves, and has served."""

    open: set[str] = field(default_factory=set)
    served: list[str] = field(default_factory=list)
    most: int = 0

    async def serve(self, call: Call) -> None:
        self.open.add(call.channel_id)
        self.served.append(call.channel_id)
        self.most = max(self.most, len(self.open))
        async for _ in call.events():
            pass
        self.open.discard(call.channel_id)


@asynccontextmanager
async def working(asterisk: ScriptedAsterisk, kind: Kind) -> AsyncIterator[list[Worker]]:
    """Run an ingest and workers around a block."""
    settings = load(
        server_id="server-1",
        applications=(APPLICATION,),
        ari={
            "rest_url": asterisk.url,
            "websocket_url": asterisk.websocket_url,
            "user": "ari",
            "password": PASSWORD,
        },
        bus=kind.settings,
        ingest={"listener_seconds": 60},
        admin={"enabled": False},
    )
    workers, stop = [Worker() for _ in range(WORKERS)], asyncio.Event()
    async with AsyncExitStack() as stack:
        tasks = await stack.enter_async_context(asyncio.TaskGroup())
        serving = standalone.serve([settings], ["ingest"], stop, bus_of=kind.of_ingest)
        tasks.create_task(serving)
        for worker in workers:
            bus = await stack.enter_async_context(opened(kind.of_worker()))
            await bus.wait_connected()
            application = Application(bus, APPLICATION, worker.serve, concurrency=PLACES)
            tasks.create_task(application.run(stop))
            await application.wait_listening()
        yield workers
        stop.set()


def served(workers: list[Worker]) -> int:
    return sum(len(worker.served) for worker in workers)


async def until_served(workers: list[Worker], calls: int) -> None:
    await until(lambda: served(workers) >= calls)


async def end_one(asterisk: ScriptedAsterisk, workers: list[Worker]) -> None:
    """Let one of the open calls end."""
    worker = next(worker for worker in workers if worker.open)
    channel = min(worker.open)
    await asterisk.push(channel_event("StasisEnd", channel, application=APPLICATION))
    await until(lambda: channel not in worker.open)


async def test_calls_beyond_the_places_of_a_worker_go_to_another_and_wait_if_there_is_none(
    kind: Kind,
) -> None:
    calls = [f"c{number}" for number in range(2 * WORKERS * PLACES)]
    async with scripted_asterisk() as asterisk, working(asterisk, kind) as workers:
        for channel in calls:
            await asterisk.push(channel_event("StasisStart", channel, application=APPLICATION))
        await until(lambda: served(workers) == WORKERS * PLACES)
        places_taken = [len(worker.open) for worker in workers]
        for more in range(WORKERS * PLACES):
            await end_one(asterisk, workers)
            await until_served(workers, WORKERS * PLACES + more + 1)
        while any(worker.open for worker in workers):
            await end_one(asterisk, workers)

    assert places_taken == [PLACES] * WORKERS
    assert [worker.most for worker in workers] == [PLACES] * WORKERS
    assert sorted(channel for worker in workers for channel in worker.served) == calls
