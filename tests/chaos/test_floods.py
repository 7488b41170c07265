"""More than usual of everything: events, calls, originates, and a bus that is slow."""

import asyncio
import json
import os
import re
import subprocess
import sys
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path

import aiohttp
import pytest

from ari_proxy.bus.base import Bus, Message
from ari_proxy.client.application import call
from ari_proxy.protocol.ids import ServerId
from ari_proxy.protocol.messages import Command
from ari_proxy.settings.load import Settings
from tests.chaos.conftest import Stage, calls_over
from tests.support import process
from tests.support.hostile import resident_bytes
from tests.support.link import Link
from tests.support.process import environment_of
from tests.support.rabbitmq import needs_many_queues
from tests.support.running import (
    bus_client,
    running_proxy,
    settings_for,
    until,
    until_done,
    until_serving,
)
from tests.support.servers import Asterisk, BusServer

#: Per second, for so long: what a real Asterisk sends at most.
RATE = 35_000
SECONDS = 10 if os.environ.get("LONG") else 3
CHANNELS = 100
#: More than one event takes while it is buffered, Python's overhead included.
FRAME_BYTES = 1500
_SEQUENCE = re.compile(rb'"sequence":(\d+)}$')


class Counter:
    """A client that only counts: what it costs is not to be the bottleneck."""

    def __init__(self, bus: Bus) -> None:
        self._bus = bus
        self._tasks: set[asyncio.Task[None]] = set()
        self.sequences: dict[str, list[int]] = {}

    async def start(self) -> None:
        await self._bus.subscribe("demo", self._on_start, group="ariq")

    def _on_start(self, message: Message) -> None:
        dialog = json.loads(message.payload)["dialog_id"]
        self._tasks.add(asyncio.get_running_loop().create_task(self._listen(dialog)))

    async def _listen(self, dialog: str) -> None:
        sequences = self.sequences.setdefault(dialog, [])

        def on_event(message: Message) -> None:
            match = _SEQUENCE.search(message.payload)
            assert match is not None
            sequences.append(int(match[1]))

        await self._bus.subscribe(f"events_{dialog}", on_event, group="ariq")

    @property
    def received(self) -> int:
        return sum(map(len, self.sequences.values()))


class Flood:
    def __init__(self, running: "subprocess.Popen[str]", port: int) -> None:
        self._running = running
        self.root = f"http://127.0.0.1:{port}/ari"
        self.websocket_url = f"ws://127.0.0.1:{port}/ari/events"

    async def start(self) -> None:
        async with aiohttp.ClientSession() as session, session.post(f"{self.root}/start"):
            pass

    async def result(self) -> dict[str, float]:
        assert self._running.stdout is not None
        line = await asyncio.to_thread(self._running.stdout.readline)
        found: dict[str, float] = json.loads(line)
        return found


@asynccontextmanager
async def flood(events: int) -> AsyncIterator[Flood]:
    arguments = ["-m", "tests.support.flood", str(events), str(CHANNELS), str(RATE)]
    with subprocess.Popen(
        [sys.executable, *arguments],
        cwd=Path(__file__).parents[2],
        env={**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)},
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        text=True,
    ) as running:
        try:
            assert running.stdout is not None
            yield Flood(running, int(await asyncio.to_thread(running.stdout.readline)))
        finally:
            running.kill()


@pytest.mark.timeout(180)
async def test_flood_of_events_reaches_the_applications_whole_and_in_order(
    bus_server: BusServer, tmp_path: Path
) -> None:
    events = RATE * SECONDS
    async with flood(events) as asterisk:
        settings = settings_for(
            bus_server,
            rest_url=asterisk.root,
            websocket_url=asterisk.websocket_url,
            application="demo",
        )
        environment = environment_of(settings) | {
            # All of them: how fast the bus is depends on who else needs this machine.
            "ARI_PROXY_BUS__BUFFER_BYTES": str(events * FRAME_BYTES)
        }
        async with bus_client(settings) as bus:
            counter = Counter(bus)
            await counter.start()
            async with process.running(tmp_path / "log", "ingest", **environment) as ingest:
                await until(lambda: counter.received == CHANNELS)
                before = resident_bytes(ingest.pid)
                await asterisk.start()
                result = await asterisk.result()
                await until_done(lambda: counter.received, CHANNELS + events)
                grown = resident_bytes(ingest.pid) - before
                assert not ingest.events("websocket.disconnected")
    print(f"flood: {bus_server.kind} {result}, grown by {grown / 2**20:.0f} MiB")

    for sequences in counter.sequences.values():
        assert sequences == list(range(1, len(sequences) + 1))
    assert grown < 2 * events * FRAME_BYTES


async def test_slow_bus_delays_and_loses_nothing(
    own_asterisk: Asterisk, bus_server: BusServer, settings_of_calls: Callable[..., Settings]
) -> None:
    link = Link(int(bus_server.url.rpartition(":")[2]), kind=bus_server.kind)
    link.delay_seconds = 0.01
    async with calls_over(link, bus_server, own_asterisk, settings_of_calls) as calls:
        channels = await calls.place(20)
        for _ in range(20):
            await calls.mark_once_more(channels)

        account = calls.account()
        assert account.faults == {}
        assert account.received == account.sent == 400


def patient(settings: Settings) -> Settings:
    """Return settings that wait long for queues: RabbitMQ declares 58 quorum queues a second."""
    ingest = settings.ingest.model_copy(update={"listener_seconds": 120.0})
    return settings.model_copy(update={"ingest": ingest})


@pytest.mark.timeout(180)
@needs_many_queues
async def test_thousand_calls_at_once(stage: Stage) -> None:
    calls = stage.calls
    async with running_proxy(patient(stage.settings)):
        await until_serving(stage.bus)
        await calls.until_registered()
        async with asyncio.TaskGroup() as tasks:
            placing = [tasks.create_task(calls.originate()) for _ in range(1000)]
        channels = [task.result() for task in placing]
        calls.sent = {channel: [] for channel in channels}
        by_channel = await _until_all_began(stage, channels)
        assert all(len(dialogs) == 1 for dialogs in by_channel.values())
        sample = channels[::50]
        await calls.mark_all(sample)
        await calls.until_all_came(sample)

        assert calls.account(sample).faults == {}
        await calls.hang_up_all()


async def _until_all_began(stage: Stage, channels: list[str]) -> dict[str, list[str]]:
    client = stage.client
    await until_done(lambda: len(client.starts), len(channels))
    await until_done(lambda: sum(map(bool, client.events.values())), len(channels))
    by_channel: dict[str, list[str]] = {channel: [] for channel in channels}
    for start in client.starts:
        by_channel[start["channel_id"]].append(start["dialog_id"])
    return by_channel


async def test_two_hundred_originates_at_once_do_not_fail_by_the_session_limit(
    stage: Stage,
) -> None:
    async with running_proxy(patient(stage.settings)):
        await until_serving(stage.bus)
        await stage.calls.until_registered()
        url = f"/channels?endpoint=Local/answer@default/n&app={stage.calls.application}"

        async def originate(number: int) -> int:
            command = Command(str(number), url, "POST")
            return (await call(stage.bus, ServerId("server-1"), command)).status_code

        async with asyncio.TaskGroup() as tasks:
            placing = [tasks.create_task(originate(number)) for number in range(200)]

        assert {task.result() for task in placing} == {200}
        await until_done(lambda: len(stage.client.starts), 200)
        await stage.calls.hang_up_all()
