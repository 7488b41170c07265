"""What shows calls of several servers of a process: each by its own name, at a port of its own."""

import asyncio
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import aiohttp

from tests.support.ports import free_port
from tests.support.running import LegacyClient, until
from tests.support.scripted_asterisk import channel_event
from tests.support.shared_process import (
    SharedProcess,
    Stage,
    healthy_asterisk,
    server_at,
    shared_process,
)

ONE, OTHER, AWAY = "server-1", "other", "asterisk-1"


class Shown:
    """A process with two servers that serve a call each, and one whose Asterisk is away."""

    def __init__(self, process: SharedProcess, calls_port: int, stages: list[Stage]) -> None:
        self.process = process
        self.stages = stages
        #: By server_id.
        self.dialogs: dict[str, str] = {}
        self._root = f"http://127.0.0.1:{calls_port}"

    async def get(self, path: str) -> tuple[int, Any]:
        """Query what shows calls; return the status and the decoded answer."""
        async with aiohttp.ClientSession() as http, http.get(self._root + path) as answer:
            text = await answer.text()
            return answer.status, json.loads(text) if text[:1] in "{[" else text

    @asynccontextmanager
    async def ladder(self, server: str) -> AsyncIterator[list[dict[str, Any]]]:
        """Watch the dialog of a server; yields its steps as they come."""
        steps: list[dict[str, Any]] = []
        asked = {"dialog": self.dialogs[server], "server": server}

        async def read(answer: aiohttp.ClientResponse) -> None:
            async for line in answer.content:
                if line.startswith(b"data: "):
                    steps.append(json.loads(line[6:]))  # noqa: PERF401  to be seen at once

        url = f"{self._root}/console/copies"
        async with (
            aiohttp.ClientSession() as http,
            http.get(url, params=asked) as answer,
            asyncio.TaskGroup() as tasks,
        ):
            reading = tasks.create_task(read(answer))
            yield steps
            reading.cancel()


@asynccontextmanager
async def shown(directory: Path) -> AsyncIterator[Shown]:
    calls_port = free_port()
    async with healthy_asterisk() as one, healthy_asterisk() as other:
        servers = [
            server_at(AWAY, f"http://127.0.0.1:{free_port()}/ari"),
            server_at(ONE, one.url),
            server_at(OTHER, other.url),
        ]
        admin = {"port": free_port(), "calls_port": calls_port, "console": True}
        async with (
            shared_process(directory, servers, admin=admin) as process,
            process.bus() as bus,
        ):
            await until(lambda: process.are_ready(ONE, OTHER))
            client = LegacyClient(bus, "demo")
            await client.start()
            stages = [Stage(one, client, ONE), Stage(other, client, OTHER)]
            found = Shown(process, calls_port, stages)
            for stage in stages:
                found.dialogs[stage.server] = await stage.begin()
            yield found


async def test_who_scrapes_metrics_sees_no_calls(tmp_path: Path) -> None:
    async with shown(tmp_path) as it:
        for path in ("/dialogs", "/console", "/console/state"):
            assert (await it.process.get(path))[0] == 404, path
            assert (await it.get(path))[0] == 200, path
        for path in ("/metrics", "/livez", "/readyz", f"/dialogs/count?server={ONE}"):
            assert (await it.process.get(path))[0] == 200, path
            assert (await it.get(path))[0] == 404, path
        _, metrics = await it.process.get("/metrics")
        for dialog in it.dialogs.values():
            assert dialog not in metrics


async def test_the_console_shows_each_server_and_one_that_is_away_hides_none(
    tmp_path: Path,
) -> None:
    async with shown(tmp_path) as it:
        for server, dialog in it.dialogs.items():
            status, state = await it.get(f"/console/state?server={server}")
            assert (status, state["server_id"]) == (200, server)
            assert state["servers"] == [AWAY, ONE, OTHER]
            assert [each["dialog_id"] for each in state["dialogs"]] == [dialog]
            assert set(state["checks"].values()) == {"ok"}
        _, state = await it.get("/console/state")
        assert (state["server_id"], state["dialogs"]) == (AWAY, [])
        assert state["checks"]["websocket"] != "ok"
        assert (await it.get("/console/state?server=nobody"))[0] == 404


async def test_ladders_of_two_servers_do_not_mix(tmp_path: Path) -> None:
    async with shown(tmp_path) as it, it.ladder(ONE) as first, it.ladder(OTHER) as second:
        for stage, steps, digit in zip(it.stages, (first, second), "12", strict=True):
            event = channel_event("ChannelDtmfReceived", "c", more=f'"digit":"{digit}",')
            await stage.asterisk.push(event)
            await until(steps.copy)

    assert [[step["text"] for step in steps] for steps in (first, second)] == [
        ["2 ChannelDtmfReceived 1"],
        ["2 ChannelDtmfReceived 2"],
    ]
