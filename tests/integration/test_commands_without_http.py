"""A call's commands on a real Asterisk whose HTTP the executor can't reach."""

import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any
from urllib.parse import urlencode

import pytest

from ari_proxy.bus.base import Bus
from ari_proxy.client.application import call
from ari_proxy.protocol.ids import DialogId, ServerId, new_dialog_id
from ari_proxy.protocol.messages import Command
from ari_proxy.settings.load import Settings
from tests.support.outbound import DiallingAsterisk
from tests.support.ports import free_port
from tests.support.running import (
    LegacyClient,
    bus_client,
    running_proxy,
    settings_for,
    until_running,
)
from tests.support.servers import Asterisk, BusServer

SERVER = ServerId("server-1")


class Caller:
    """Places calls in one dialog and sends it commands."""

    def __init__(self, bus: Bus, client: LegacyClient, application: str, dialog: DialogId) -> None:
        self._bus = bus
        self._client = client
        self._where = {"endpoint": "Local/answer@default/n", "app": application}
        self.dialog = dialog
        self.statuses: dict[str, int] = {}

    async def do(self, method: str, url: str, **query: str) -> Any:
        """Send a command and return the answer's body, decoded."""
        asked = f"{url}?{urlencode(query)}" if query else url
        answer = await self._client.command(self.dialog, method, asked)
        self.statuses[f"{method} {url}"] = answer["status_code"]
        return json.loads(answer["response_body"] or "null")

    async def begin(self) -> str:
        """Place the call that begins the dialog; return its channel once it is in Stasis."""
        url = f"/channels?{urlencode(self._where)}"
        placed = await call(self._bus, SERVER, Command("u", url, "POST", dialog_id=self.dialog))
        assert placed.status_code == 200, placed
        await self.until("StasisStart")
        channel: str = json.loads(placed.response_body)["id"]
        return channel

    async def join(self) -> str:
        """Place another call in the dialog; return its channel once it is in Stasis."""
        channel: str = (await self.do("POST", "/channels", **self._where))["id"]
        await self.until("StasisStart", 2)
        return channel

    async def until(self, event: str, count: int = 1) -> None:
        await self._client.until(lambda: self._client.types_of(self.dialog).count(event) >= count)


async def serve_with_every_kind(caller: Caller) -> None:
    """Serve calls with every kind of command that calls need."""
    first, second = await caller.begin(), await caller.join()
    channel = f"/channels/{first}"
    await caller.do("POST", f"{channel}/answer")
    for what in ("ring", "hold", "moh", "silence"):
        await caller.do("POST", f"{channel}/{what}")
        await caller.do("DELETE", f"{channel}/{what}")
    await caller.do("POST", f"{channel}/variable", variable="A", value="ü & 1")
    assert (await caller.do("GET", f"{channel}/variable", variable="A"))["value"] == "ü & 1"
    await caller.do("POST", f"{channel}/dtmf", dtmf="12")
    playback = (await caller.do("POST", f"{channel}/play", media="sound:tt-monkeys"))["id"]
    await caller.until("PlaybackStarted")
    await caller.do("POST", f"/playbacks/{playback}/control", operation="pause")
    await caller.do("DELETE", f"/playbacks/{playback}")
    await caller.until("PlaybackFinished")
    await caller.do("POST", f"{channel}/record", name=caller.dialog, format="wav")
    await caller.until("RecordingStarted")
    await caller.do("POST", f"/recordings/live/{caller.dialog}/stop")
    await caller.until("RecordingFinished")
    await caller.do("GET", f"/recordings/stored/{caller.dialog}")
    bridge = f"/bridges/{(await caller.do('POST', '/bridges', type='mixing'))['id']}"
    await caller.do("POST", f"{bridge}/addChannel", channel=f"{first},{second}")
    await caller.do("POST", f"{bridge}/play", media="sound:hello-world")
    assert len((await caller.do("GET", bridge))["channels"]) == 2
    await caller.do("POST", f"{bridge}/removeChannel", channel=first)
    await caller.do("DELETE", bridge)
    # Lists, which go by HTTP where there is HTTP.
    assert {first, second} <= {each["id"] for each in await caller.do("GET", "/channels")}
    for path in ("/bridges", "/endpoints", "/recordings/stored", "/sounds", "/applications"):
        assert isinstance(await caller.do("GET", path), list), path
    await caller.do("DELETE", f"/channels/{second}")
    await caller.do("DELETE", channel)
    await caller.until("StasisEnd", 2)


@asynccontextmanager
async def serving(ingest: Settings, command: Settings) -> AsyncIterator[Caller]:
    """Run both services with settings of their own, and a client with a dialog."""
    (application,) = ingest.applications
    async with (
        bus_client(ingest) as bus,
        running_proxy(ingest, ("ingest",)),
        running_proxy(command, ("command",)),
    ):
        await until_running(ingest)
        client = LegacyClient(bus, application)
        await client.start()
        dialog = new_dialog_id(SERVER)
        await client.listen(dialog)
        yield Caller(bus, client, application, dialog)


def settings_without_http(settings: Settings, **ari: str) -> Settings:
    """Return settings of an executor to which Asterisk's HTTP server is not there."""
    nowhere = {"rest_url": f"http://127.0.0.1:{free_port()}/ari"}
    return settings.model_copy(update={"ari": settings.ari.model_copy(update={**nowhere, **ari})})


async def serve_calls(ingest: Settings, command: Settings) -> None:
    async with serving(ingest, command) as caller:
        await serve_with_every_kind(caller)
        refused = await caller.do("GET", f"/recordings/stored/{caller.dialog}/file")

    *others, (_, status) = caller.statuses.items()
    assert [(what, code) for what, code in others if code not in {200, 201, 204}] == []
    assert (status, refused["error"], refused["sent"]) == (501, "ari_proxy.needs_http", False)
    assert "a file can't travel on a websocket" in refused["message"]


def settings_at(asterisk: Asterisk, bus_server: BusServer) -> Settings:
    return settings_for(
        bus_server,
        rest_url=asterisk.url,
        websocket_url=asterisk.websocket_url,
        application="demo",
        command={"transport": "websocket"},
    )


@pytest.mark.parametrize("bus_server", ["nats"], indirect=True)
@pytest.mark.parametrize("asterisk", ["22"], ids=["asterisk22"], indirect=True)
async def test_calls_are_served_on_websockets_that_we_open(
    asterisk: Asterisk, bus_server: BusServer
) -> None:
    settings = settings_at(asterisk, bus_server)
    await serve_calls(settings, settings_without_http(settings))


async def test_calls_are_served_on_websockets_that_asterisk_opens(
    bus_server: BusServer, tmp_path: Path
) -> None:
    port = free_port()
    asterisk = DiallingAsterisk(tmp_path, port)
    asterisk.start()
    try:
        settings = settings_at(asterisk, bus_server)
        outbound = {"connection": "outbound", "listen": f"127.0.0.1:{port}"}
        await serve_calls(settings, settings_without_http(settings, **outbound))
    finally:
        asterisk.remove()
