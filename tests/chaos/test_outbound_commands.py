"""Commands on websockets that a real Asterisk, without an HTTP server, opens; counted by events."""

import asyncio
import itertools
import json
from collections import Counter
from collections.abc import AsyncIterator, Iterator
from contextlib import AsyncExitStack, aclosing, asynccontextmanager, contextmanager
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from ari_proxy.ari.listener import Listener
from ari_proxy.ari.rest_pool import RestPool
from ari_proxy.bus.base import Bus
from ari_proxy.bus.errors import BusError
from ari_proxy.connections import factories
from ari_proxy.protocol import messages, topics
from ari_proxy.protocol.ids import ServerId
from ari_proxy.protocol.messages import Command
from ari_proxy.settings.load import Settings, load
from tests.support import process
from tests.support.balancer import Balancer
from tests.support.link import Link
from tests.support.outbound import DiallingAsterisk
from tests.support.outcomes import APPLICATION, Outcomes
from tests.support.ports import free_port
from tests.support.process import Process, environment_of
from tests.support.running import bus_client, settings_for, until, until_serving
from tests.support.servers import PASSWORD, BusServer, NatsServer

SERVER = ServerId("server-1")
#: Longer than an executor takes to say that a command was not sent, or that its outcome is unknown.
ANSWER_SECONDS = 5.0


def settings_at(port: int) -> Settings:
    outbound = {"connection": "outbound", "listen": f"127.0.0.1:{port}", "password": PASSWORD}
    return load(
        server_id=SERVER, ari=outbound | {"timeout_seconds": 1}, command={"transport": "websocket"}
    )


@asynccontextmanager
async def listening(listener: Listener) -> AsyncIterator[None]:
    async with asyncio.TaskGroup() as tasks:
        task = tasks.create_task(listener.run())
        yield
        task.cancel()


@asynccontextmanager
async def executed(port: int) -> AsyncIterator[Counter[str]]:
    """Count the executions of each request, by the events that come to a port."""
    counted: Counter[str] = Counter()
    listener = factories.listener(settings_at(port))
    path = listener.register("/server-1/events", (APPLICATION,))

    def count(message: bytes) -> None:
        event = json.loads(message)
        if event["type"] == "ChannelUserevent":
            counted[event["eventname"]] += 1

    async def read() -> None:
        async with aclosing(path.connections()) as connections:
            async for connection in connections:
                await connection.read(count)

    async with listening(listener), asyncio.TaskGroup() as tasks:
        counting = tasks.create_task(read())
        yield counted
        counting.cancel()


@contextmanager
def dialling(directory: Path, port: int, events_port: int) -> Iterator[DiallingAsterisk]:
    asterisk = DiallingAsterisk(
        directory,
        port,
        applications=(APPLICATION,),
        events_port=events_port,
        has_http=False,
    )
    asterisk.start()
    try:
        yield asterisk
    finally:
        asterisk.remove()


@pytest.mark.parametrize("fault", ["cut", "frozen"])
async def test_request_is_executed_once_or_its_outcome_is_told(tmp_path: Path, fault: str) -> None:
    port, events_port, outcomes = free_port(), free_port(), Outcomes()
    settings, pools = settings_at(port), list[RestPool]()
    listener = factories.listener(settings)
    link = Link(port)
    link.start()
    try:
        with dialling(tmp_path, link.port, events_port):
            async with (
                executed(events_port) as counted,
                factories.rest_client(settings) as rest,
                factories.command_way(settings, rest, listener, pools.append) as way,
                listening(listener),
                asyncio.TaskGroup() as tasks,
            ):
                (pool,) = pools
                await until(lambda: pool.opened == 4)
                sending = [tasks.create_task(outcomes.send(way.client, n)) for n in range(16)]
                for _ in range(3):
                    await outcomes.more()
                    if fault == "frozen":
                        link.freeze()
                        await outcomes.more_refused(16)
                        link.thaw()
                    link.stop()
                    link.start()
                    await until(lambda: pool.opened == 4)
                await outcomes.more()
                for task in sending:
                    task.cancel()
                await asyncio.wait(sending)
                await until(lambda: outcomes.answered <= set(counted))
    finally:
        link.remove()

    assert max(counted.values()) == 1
    assert not outcomes.not_sent & set(counted)
    assert len(outcomes.answered) > 2000
    # Those in flight when the link froze, and on a websocket that had been idle when it was cut: at
    # most sixteen each, three times.
    assert 0 < len(outcomes.unknown) <= 96


@dataclass
class Load:
    """Numbered commands on the bus, and their answers."""

    bus: Bus
    statuses: dict[str, int] = field(default_factory=dict)
    #: Without an answer.
    unanswered: set[str] = field(default_factory=set)

    async def send(self, sender: int) -> None:
        """Send commands one after another, until cancelled."""
        for number in itertools.count():
            name = f"n{sender}-{number}"
            url = f"/events/user/{name}?application={APPLICATION}"
            try:
                answer = await self.bus.request(
                    topics.commands(SERVER),
                    messages.encode(Command(name, url, "POST")),
                    timeout_seconds=ANSWER_SECONDS,
                )
            except BusError:
                self.unanswered.add(name)
            else:
                self.statuses[name] = json.loads(answer)["status_code"]

    async def more(self) -> None:
        """Wait until another 300 were answered."""
        enough = len(self.statuses) + 300
        await until(lambda: len(self.statuses) >= enough)


@dataclass
class Scene:
    """Executors behind one address to which Asterisk opens its websockets, under load."""

    load: Load
    counted: Counter[str]
    balancer: Balancer
    environment: dict[str, str]
    directory: Path
    stack: AsyncExitStack
    executors: list[Process] = field(default_factory=list)
    numbers: Iterator[int] = field(default_factory=itertools.count)

    async def start(self) -> Process:
        """Start an executor; return it once it listens, with or without a websocket."""
        port = free_port()
        self.balancer.targets.append(port)
        log = self.directory / f"command-{next(self.numbers)}"
        listen = f"127.0.0.1:{port}"
        started = await self.stack.enter_async_context(
            process.running(log, "command", **self.environment, ARI_PROXY_ARI__LISTEN=listen)
        )
        await started.logged("ari_listener.bound")
        self.executors.append(started)
        return started

    async def until_ready(self, executor: Process) -> None:
        async def is_ready() -> bool:
            return (await executor.admin("/readyz"))[0] == 200

        await until(is_ready)


@asynccontextmanager
async def scene(bus_server: BusServer, directory: Path) -> AsyncIterator[Scene]:
    """Run two executors."""
    events_port, balancer = free_port(), Balancer()
    nowhere = f"127.0.0.1:{free_port()}/ari"
    settings = settings_for(
        bus_server, rest_url=f"http://{nowhere}", websocket_url=f"ws://{nowhere}", application="-"
    )
    environment = environment_of(settings) | {
        "ARI_PROXY_ARI__CONNECTION": "outbound",
        "ARI_PROXY_ARI__TIMEOUT_SECONDS": "3",
        "ARI_PROXY_COMMAND__TRANSPORT": "websocket",
    }
    with dialling(directory, balancer.port, events_port):
        async with (
            executed(events_port) as counted,
            balancer.running(),
            bus_client(settings) as bus,
            AsyncExitStack() as stack,
        ):
            it = Scene(Load(bus), counted, balancer, environment, directory, stack)
            await it.start()
            await it.start()
            await until_serving(bus, ingest=False)
            async with asyncio.TaskGroup() as tasks:
                sending = [tasks.create_task(it.load.send(n)) for n in range(8)]
                yield it
                for task in sending:
                    task.cancel()
                await asyncio.wait(sending)
            await until(lambda: it.load.statuses.keys() <= counted.keys())


@pytest.mark.parametrize("bus_server", ["nats", "rabbitmq"], indirect=True)
async def test_restart_of_each_executor_costs_no_command(
    bus_server: BusServer, tmp_path: Path
) -> None:
    async with scene(bus_server, tmp_path) as it:
        for former in [*it.executors]:
            await it.load.more()
            successor = await it.start()
            await it.until_ready(successor)
            former.signal()
            assert await former.ended() == 0
            await it.load.more()

    assert it.load.unanswered == set()
    assert set(it.load.statuses.values()) == {204}
    assert max(it.counted.values()) == 1


async def test_executor_that_is_killed_takes_only_what_it_had_in_flight(
    nats_server: NatsServer, tmp_path: Path
) -> None:
    async with scene(nats_server, tmp_path) as it:
        await it.load.more()
        killed, _ = it.executors
        killed.kill()
        await it.load.more()

    assert set(it.load.statuses.values()) == {204}
    assert max(it.counted.values()) == 1
    # One command of each sender, at most.
    assert len(it.load.unanswered) <= 8
