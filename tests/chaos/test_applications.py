"""The application is not there, dies in mid-call, or comes late; both buses."""

import asyncio
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import pytest
import websockets

from ari_proxy.ari.rest import RestClient
from tests.chaos.conftest import stage_settings
from tests.support.calls import Calls, asterisk_client
from tests.support.running import LegacyClient, bus_client, running_proxy, until
from tests.support.scripted_asterisk import channel_event, scripted_asterisk
from tests.support.servers import PASSWORD, Asterisk, BusServer
from tests.support.setting import Setting, settings_of

CONTINUED = [
    ("POST", "/channels/c/variable?variable=ARI_PROXY_STATUS&value=NO_APPLICATION"),
    ("POST", "/channels/c/continue"),
]


async def outcome_of_death(bus_server: BusServer, **ingest: Any) -> list[tuple[str, str]]:
    """Let the application die in mid-call; return what happens to the call."""
    async with scripted_asterisk() as asterisk:
        settings = settings_of(asterisk, bus_server, ingest={"silence_seconds": 0.4, **ingest})
        async with running_proxy(settings, ["ingest"]):
            async with bus_client(settings) as bus:
                setting = Setting(asterisk, settings, bus, LegacyClient(bus, "demo"))
                await setting.begin()
                # As long as it lives it may be as silent as it likes.
                await asyncio.sleep(1)
                assert asterisk.requests == []
            if ingest.get("no_listener") == "keep":
                await asyncio.sleep(1)
            else:
                await until(lambda: asterisk.requests)
        return [(r.method, r.target.removeprefix("/ari")) for r in asterisk.requests]


@pytest.mark.parametrize(
    ("policy", "requests"),
    [("continue", CONTINUED), ("hangup", [("DELETE", "/channels/c")]), ("keep", [])],
)
async def test_caller_is_not_left_with_an_application_that_died(
    bus_server: BusServer, policy: str, requests: list[tuple[str, str]]
) -> None:
    assert await outcome_of_death(bus_server, no_listener=policy) == requests


async def test_application_that_comes_back_in_time_keeps_its_call(bus_server: BusServer) -> None:
    async with scripted_asterisk() as asterisk:
        settings = settings_of(asterisk, bus_server, ingest={"silence_seconds": 2})
        async with running_proxy(settings, ["ingest"]):
            async with bus_client(settings) as bus:
                setting = Setting(asterisk, settings, bus, LegacyClient(bus, "demo"))
                dialog = await setting.begin()
            await asyncio.sleep(0.7)
            async with bus_client(settings) as bus:
                client = LegacyClient(bus, "demo")
                await client.listen(dialog)
                await asyncio.sleep(2.5)
                await asterisk.push(channel_event("ChannelDtmfReceived", "c"))
                await client.until(lambda: "ChannelDtmfReceived" in client.types(dialog))

    assert asterisk.requests == []


# On a real Asterisk: Local/app-NAME@default enters the application NAME from the dialplan, which
# keeps STASISSTATUS in a global variable when the call comes back.


@asynccontextmanager
async def watched(asterisk: Asterisk) -> AsyncIterator[list[str]]:
    """Yield the values of ARI_PROXY_STATUS that channels get, as Asterisk tells them."""
    values: list[str] = []
    url = f"{asterisk.websocket_url}?app=watcher&subscribeAll=true&api_key=ari:{PASSWORD}"

    async def watch(socket: websockets.ClientConnection) -> None:
        async for frame in socket:
            event = json.loads(frame)
            if event["type"] == "ChannelVarset" and event["variable"] == "ARI_PROXY_STATUS":
                values.append(event["value"])

    async with websockets.connect(url) as socket, asyncio.TaskGroup() as tasks:
        watching = tasks.create_task(watch(socket))
        yield values
        watching.cancel()


async def call_from_the_dialplan(rest: RestClient, application: str) -> None:
    where = f"endpoint=Local/app-{application}@default/n&context=default&extension=answer"
    assert (await rest.request("POST", f"/channels?{where}")).status == 200


async def until_back_in_the_dialplan(rest: RestClient) -> None:
    async def is_back() -> bool:
        answer = await rest.request("GET", "/asterisk/variable?variable=LAST_STASISSTATUS")
        return bool(json.loads(answer.body)["value"] == "SUCCESS")

    await until(is_back)


async def test_call_that_nobody_takes_goes_on_in_asterisks_dialplan(
    own_asterisk: Asterisk, bus_server: BusServer
) -> None:
    settings = stage_settings(
        bus_server,
        own_asterisk,
        own_asterisk.websocket_url,
        "untaken",
        ingest={"listener_seconds": 0.5},
    )
    async with (
        watched(own_asterisk) as statuses,
        asterisk_client(own_asterisk) as rest,
        bus_client(settings) as bus,
        running_proxy(settings, ["ingest"]),
    ):
        await Calls(rest, "untaken", LegacyClient(bus, "other")).until_registered()
        await call_from_the_dialplan(rest, "untaken")
        await until_back_in_the_dialplan(rest)

    assert statuses == ["NO_APPLICATION"]


async def test_call_whose_application_dies_goes_on_in_asterisks_dialplan(
    own_asterisk: Asterisk, bus_server: BusServer
) -> None:
    settings = stage_settings(
        bus_server,
        own_asterisk,
        own_asterisk.websocket_url,
        "mortal",
        ingest={"silence_seconds": 0.5},
    )
    async with (
        watched(own_asterisk) as statuses,
        asterisk_client(own_asterisk) as rest,
        running_proxy(settings, ["ingest"]),
    ):
        async with bus_client(settings) as bus:
            client = LegacyClient(bus, "mortal")
            await client.start()
            await Calls(rest, "mortal", client).until_registered()
            await call_from_the_dialplan(rest, "mortal")
            await client.until(lambda: client.starts and client.events)
            dialog = client.starts[0]["dialog_id"]
            await client.until_events(dialog, 1)
            assert statuses == []
        await until_back_in_the_dialplan(rest)

    assert statuses == ["NO_APPLICATION"]
