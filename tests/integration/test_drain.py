"""What becomes of commands and dialogs when the proxy is told to stop; on real buses."""

import asyncio
import json
from typing import Any

import pytest

from ari_proxy.ingest.parts import Times
from tests.support.running import LegacyClient, bus_client, running_proxy, until, until_running
from tests.support.scripted_asterisk import channel_event, scripted_asterisk
from tests.support.servers import BusServer
from tests.support.setting import Setting, settings_of


async def publish_commands(setting: Setting, dialog: str, count: int) -> None:
    """Publish commands of which Asterisk holds the first."""
    setting.asterisk.hold = asyncio.Event()
    for number in range(count):
        command = {"unique_id": f"{number}", "method": "GET", "url": "/endpoints", "body": ""}
        setting.bus.publish(f"commands_{dialog}", json.dumps(command).encode())
    await setting.bus.flush(timeout_seconds=5)
    await until(lambda: setting.asterisk.requests)


def outcomes(setting: Setting, dialog: str) -> list[tuple[str, int, str]]:
    return [
        (
            response["unique_id"],
            response["status_code"],
            json.loads(response["response_body"] or "{}").get("error", ""),
        )
        for response in setting.client.responses[dialog]
    ]


@pytest.mark.parametrize(
    ("drain_seconds", "expected"),
    [
        (60, [("0", 204, ""), ("1", 204, ""), ("2", 204, "")]),
        (
            0.05,
            [
                ("0", 504, "ari_proxy.drain"),
                ("1", 503, "ari_proxy.drain"),
                ("2", 503, "ari_proxy.drain"),
            ],
        ),
    ],
    ids=["in time", "too late"],
)
async def test_every_command_taken_is_answered(
    bus_server: BusServer, drain_seconds: float, expected: list[Any]
) -> None:
    async with scripted_asterisk() as asterisk:
        settings = settings_of(asterisk, bus_server, runtime={"drain_seconds": drain_seconds})
        async with bus_client(settings) as bus:
            setting = Setting(asterisk, settings, bus, LegacyClient(bus, "demo"))
            async with running_proxy(settings) as stop:
                await until_running(settings)
                dialog = await setting.begin()
                await publish_commands(setting, dialog, 3)
                stop.set()
                if drain_seconds > 1:
                    assert asterisk.hold is not None
                    asterisk.hold.set()
            await setting.client.until(lambda: len(setting.client.responses[dialog]) == 3)

    assert outcomes(setting, dialog) == expected
    assert len(asterisk.requests) == sum(status in {204, 504} for _, status, _ in expected)


async def test_dialog_that_has_begun_is_set_up_before_the_end(
    bus_server: BusServer,
) -> None:
    async with scripted_asterisk() as asterisk:
        settings = settings_of(asterisk, bus_server)
        async with bus_client(settings) as bus:
            late = LegacyClient(bus, "demo")
            await late.listen("server-1")
            async with running_proxy(settings) as stop:
                await asterisk.push(channel_event("StasisStart", "c"))
                await asterisk.push(channel_event("ChannelDtmfReceived", "c"))
                await asterisk.push('{"type":"DeviceStateChanged","device_state":{}}')
                await late.until(lambda: late.types("server-1"))
                stop.set()
                assert asterisk.socket is not None
                async with asyncio.timeout(10):
                    await until(lambda: asterisk.socket is None or asterisk.socket.closed)
                await late.start()
            await late.until(lambda: late.starts)
            dialog = late.starts[0]["dialog_id"]
            await late.until(lambda: len(late.types_of(dialog)) == 2)

    assert late.types(dialog) == ["StasisStart", "ChannelDtmfReceived"]


async def test_last_ingest_of_a_server_ends_its_dialogs(bus_server: BusServer) -> None:
    async with scripted_asterisk() as asterisk:
        last = {"final": True, "no_listener": "hangup"}
        settings = settings_of(asterisk, bus_server, ingest=last)
        async with bus_client(settings) as bus:
            setting = Setting(asterisk, settings, bus, LegacyClient(bus, "demo"))
            async with running_proxy(settings, times=Times(final_seconds=0.1)):
                await until_running(settings)
                dialog = await setting.begin()
                client = setting.client
                await client.until(lambda: client.events[dialog])
            await client.until(lambda: "ProxyDialogEnded" in client.types(dialog))

    (end,) = [event for event in client.events[dialog] if event["type"] == "ProxyDialogEnded"]
    body = json.loads(end["ari_body"])
    assert (body["reason"], body["channels"]) == ("server_removed", ["c"])
    hangups = [item.target for item in asterisk.requests if item.method == "DELETE"]
    assert hangups == ["/ari/channels/c"]


async def test_dialogs_of_a_last_ingest_go_on_in_another_one(bus_server: BusServer) -> None:
    """Only its pod was evicted."""
    async with scripted_asterisk() as asterisk:
        asterisk.add_channel("c")
        settings = settings_of(asterisk, bus_server, ingest={"final": True})
        async with bus_client(settings) as bus:
            setting = Setting(asterisk, settings, bus, LegacyClient(bus, "demo"))
            async with running_proxy(settings) as stop:
                await until_running(settings)
                dialog = await setting.begin()
                client = setting.client
                await client.until(lambda: client.events[dialog])
                stop.set()
                async with running_proxy(settings, times=Times(final_seconds=0.1)):
                    await until(lambda: len(asterisk.upgrades) > 1)
                    await asterisk.push(channel_event("ChannelVarset", "c"))
                    await client.until(lambda: "ChannelVarset" in client.types(dialog))

    assert client.types(dialog)[:2] == ["StasisStart", "ChannelVarset"]
