"""The application is not there, dies in mid-call, or comes late; both buses."""

import asyncio
from typing import Any

import pytest

from tests.support.running import LegacyClient, bus_client, running_proxy, until
from tests.support.scripted_asterisk import channel_event, scripted_asterisk
from tests.support.servers import BusServer
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
