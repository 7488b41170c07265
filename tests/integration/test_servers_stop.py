"""A process with several servers is told to stop: each finishes what it has, on real buses."""

import asyncio
import json
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from functools import partial
from pathlib import Path
from typing import Any, Final

from ari_proxy.connections import factories
from tests.support.running import LegacyClient, bus_client, settings_for, until
from tests.support.scripted_asterisk import ScriptedAsterisk, channel_event
from tests.support.servers import BusServer
from tests.support.shared_process import (
    SharedProcess,
    Stage,
    healthy_asterisk,
    server_at,
    shared_process,
)

SERVERS: Final = ("server-1", "other", "asterisk-1")
EVENTS: Final = 50


class Scene:
    """The Asterisks of all servers, an application, and processes of the same servers."""

    def __init__(
        self, directory: Path, bus_server: BusServer, stages: list[Stage], client: LegacyClient
    ) -> None:
        self.stages = stages
        self.client = client
        #: By server_id.
        self.dialogs: dict[str, str] = {}
        self._directory = directory
        self._bus = {"kind": bus_server.kind, "urls": [bus_server.url]}

    @asynccontextmanager
    async def process(self, **settings: Any) -> AsyncIterator[SharedProcess]:
        """Run a process of all servers around a block."""
        servers = [
            {
                **server_at(stage.server, stage.asterisk.url),
                "lease": {"file": str(self._directory / stage.server)},
            }
            for stage in self.stages
        ]
        shared: dict[str, Any] = {"bus": self._bus, "lease": {"kind": "file"}} | settings
        parts = {"bus_of": factories.bus}
        async with shared_process(self._directory, servers, parts=parts, **shared) as process:
            await until(partial(process.are_ready, *SERVERS))
            yield process

    async def begin(self) -> None:
        """Let a call come to each server."""
        for stage in self.stages:
            self.dialogs[stage.server] = await stage.begin()
            stage.asterisk.add_channel("c")  # for an ingest that asks what there is

    async def push(self, first: int, count: int) -> None:
        """Send events of the calls, those of all servers in turn."""
        for number in range(first, first + count):
            for stage in self.stages:
                value = f'"value":"{number}",'
                await stage.asterisk.push(channel_event("ChannelVarset", "c", more=value))

    async def all_have_come(self, count: int) -> None:
        """Check that the application has got each call's events once and in their order."""
        for dialog in self.dialogs.values():
            await self.client.until_events(dialog, count + 1)
            events = self.client.events[dialog]
            types = [event["type"] for event in events]
            assert types == ["StasisStart"] + ["ChannelVarset"] * count
            values = [json.loads(event["ari_body"])["value"] for event in events[1:]]
            assert values == [f"{number}" for number in range(count)]
        assert len(self.client.starts) == len(self.stages)  # Nobody was announced anew.


@asynccontextmanager
async def scene(directory: Path, bus_server: BusServer) -> AsyncIterator[Scene]:
    async with AsyncExitStack() as stack:
        asterisks = [await stack.enter_async_context(healthy_asterisk()) for _ in SERVERS]
        settings = settings_for(
            bus_server,
            rest_url=asterisks[0].url,
            websocket_url=asterisks[0].websocket_url,
            application="demo",
        )
        client = LegacyClient(await stack.enter_async_context(bus_client(settings)), "demo")
        await client.start()
        stages = [
            Stage(asterisk, client, server)
            for asterisk, server in zip(asterisks, SERVERS, strict=True)
        ]
        yield Scene(directory, bus_server, stages, client)


def has_command(asterisk: ScriptedAsterisk) -> bool:
    """Return whether a command has come to an Asterisk."""
    return any(request.target.endswith("/answer") for request in asterisk.requests)


async def test_each_server_ends_what_it_has_and_waits_for_no_other(
    tmp_path: Path, bus_server: BusServer
) -> None:
    async with (
        scene(tmp_path, bus_server) as it,
        it.process(runtime={"drain_seconds": 60}) as process,
    ):
        await it.begin()
        *others, slow = it.stages
        for stage in it.stages:
            stage.asterisk.hold = asyncio.Event()
        async with asyncio.TaskGroup() as tasks:
            asked = {
                stage: tasks.create_task(stage.answers(it.dialogs[stage.server]))
                for stage in it.stages
            }
            await until(lambda: all(has_command(stage.asterisk) for stage in it.stages))
            await it.push(0, EVENTS)
            process.stop.set()
            for stage in others:
                assert stage.asterisk.hold is not None
                stage.asterisk.hold.set()
                assert await asked[stage]
            for server in SERVERS:
                await until(partial(is_passive, process, server))
            assert not asked[slow].done()
            assert slow.asterisk.hold is not None
            slow.asterisk.hold.set()
            assert await asked[slow]
        await it.all_have_come(EVENTS)


async def is_passive(process: SharedProcess, server: str) -> bool:
    """Return whether a process publishes no events of a server any more."""
    return await process.metric("ariproxy_ingest_active", server_id=server) == 0


async def test_an_asterisk_that_does_not_answer_ends_no_later_than_the_deadline(
    tmp_path: Path, bus_server: BusServer
) -> None:
    async with scene(tmp_path, bus_server) as it:
        async with (
            it.process(runtime={"drain_seconds": 0.5}) as process,
            asyncio.TaskGroup() as tasks,
        ):
            await it.begin()
            for stage in it.stages:
                stage.asterisk.hold = asyncio.Event()
            asked = [
                tasks.create_task(
                    it.client.command(it.dialogs[stage.server], "POST", "/channels/c/answer")
                )
                for stage in it.stages
            ]
            await until(lambda: all(has_command(stage.asterisk) for stage in it.stages))
            process.stop.set()
        for stage in it.stages:
            assert stage.asterisk.hold is not None
            stage.asterisk.hold.set()

    errors = [json.loads(each.result()["response_body"])["error"] for each in asked]
    assert errors == ["ari_proxy.drain"] * len(SERVERS)


async def test_the_calls_of_all_servers_go_on_in_the_next_process(
    tmp_path: Path, bus_server: BusServer
) -> None:
    async with scene(tmp_path, bus_server) as it, AsyncExitStack() as standby:
        async with it.process():
            await it.begin()
            await standby.enter_async_context(it.process())
            pushing = asyncio.create_task(it.push(0, EVENTS))
            await it.client.until(lambda: all(map(it.client.events.get, it.dialogs.values())))
        await pushing
        await it.push(EVENTS, EVENTS)
        await it.all_have_come(2 * EVENTS)
        for stage in it.stages:
            assert await stage.answers(it.dialogs[stage.server])
