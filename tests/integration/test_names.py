"""Whose a name is when the request that gives it fails; on real buses."""

import json
from dataclasses import replace
from typing import Any

import pytest

from ari_proxy.bus.base import Bus, Message
from ari_proxy.client.application import call
from ari_proxy.protocol.ids import DialogId, ServerId
from ari_proxy.protocol.messages import Command
from tests.support.ports import free_port
from tests.support.running import LegacyClient, bus_client, running_proxy, until_running
from tests.support.scripted_asterisk import channel_event, scripted_asterisk
from tests.support.servers import BusServer
from tests.support.setting import Setting, settings_of

EXISTS = '{"message":"exists"}'


async def statuses(setting: Setting, dialog: str, *urls: str) -> list[int]:
    """Send POSTs and return their statuses."""
    return [(await setting.client.command(dialog, "POST", url))["status_code"] for url in urls]


@pytest.mark.parametrize(
    ("path", "url", "event"),
    [
        ("/bridges", "/bridges?bridgeId=x", '{"type":"BridgeCreated","bridge":{"id":"x"}}'),
        ("/channels", "/channels?channelId=x", channel_event("ChannelCreated", "x")),
        (
            "/channels/c/play/x",
            "/channels/c/play/x?media=sound:a",
            '{"type":"PlaybackStarted","playback":{"id":"x","target_uri":"bridge:y"}}',
        ),
    ],
    ids=["bridge", "channel", "playback"],
)
async def test_refused_duplicate_leaves_the_first_object_to_its_dialog(
    proxy: Setting, path: str, url: str, event: str
) -> None:
    dialog = await proxy.begin("c")
    proxy.asterisk.answer("POST", path, 200, "{}")
    proxy.asterisk.answer("POST", path, 409, EXISTS)

    answered = await statuses(proxy, dialog, url, url)
    await proxy.asterisk.push(event)
    await proxy.client.until(lambda: len(proxy.client.types(dialog)) == 2)

    assert answered == [200, 409]
    assert proxy.client.types(dialog)[1] == json.loads(event)["type"]


async def test_refused_duplicate_leaves_the_first_recording_to_its_dialog(
    bus_server: BusServer,
) -> None:
    limits = {"scope": "dialog", "stored_recordings": "own"}
    async with scripted_asterisk() as asterisk:
        settings = settings_of(asterisk, bus_server, command=limits)
        async with bus_client(settings) as bus, running_proxy(settings):
            await until_running(settings)
            setting = Setting(asterisk, settings, bus, LegacyClient(bus, "demo"))
            dialog = await setting.begin("c")
            asterisk.answer("POST", "/channels/c/record", 201, "{}")
            asterisk.answer("POST", "/channels/c/record", 409, EXISTS)
            record = "/channels/c/record?name=message&format=wav"
            answered = await statuses(setting, dialog, record, record)
            stopped = await statuses(setting, dialog, "/recordings/live/message/stop")
            read = await setting.client.command(dialog, "GET", "/recordings/stored/message/file")

    assert (answered, stopped, read["status_code"]) == ([201, 409], [204], 204)


async def test_name_that_was_refused_is_its_dialogs_in_the_next_command(proxy: Setting) -> None:
    """A leg by one trunk and, as that refuses it, by another."""
    dialog = await proxy.begin("c")
    proxy.asterisk.answer("POST", "/channels", 500, '{"message":"Allocation failed"}')
    proxy.asterisk.answer("POST", "/channels", 200, '{"id":"x"}')
    legs = [f"/channels?endpoint=PJSIP/a@{trunk}&app=demo&channelId=x" for trunk in ("one", "two")]
    commands = [{"unique_id": leg, "url": leg, "method": "POST", "body": ""} for leg in legs]

    await proxy.client.send(dialog, json.dumps(commands).encode())
    await proxy.client.until(lambda: len(proxy.client.responses[dialog]) == 2)
    await proxy.asterisk.push(channel_event("StasisStart", "x"))
    await proxy.client.until(lambda: len(proxy.client.types(dialog)) == 2)

    assert [answer["status_code"] for answer in proxy.client.responses[dialog]] == [500, 200]
    assert len(proxy.client.starts) == 1


async def test_name_of_what_asterisk_never_got_is_free(bus_server: BusServer) -> None:
    async with scripted_asterisk() as asterisk:
        settings = settings_of(asterisk, bus_server)
        unreachable = replace(asterisk, url=f"http://127.0.0.1:{free_port()}/ari")
        async with (
            bus_client(settings) as bus,
            running_proxy(settings, ["ingest"]),
            running_proxy(settings_of(unreachable, bus_server), ["command"]),
        ):
            await until_running(settings)
            setting = Setting(asterisk, settings, bus, LegacyClient(bus, "demo"))
            dialog = await setting.begin("c")
            await setting.client.listen("server-1")
            answered = await statuses(setting, dialog, "/bridges?bridgeId=x")
            await asterisk.push('{"type":"BridgeCreated","bridge":{"id":"x"}}')
            await setting.client.until(lambda: setting.client.events["server-1"])
            types = setting.client.types(dialog)

    assert (answered, types) == ([502], ["StasisStart"])


@pytest.mark.parametrize(
    ("answer", "releases"),
    [({}, 0), ({"is_new": False}, 0), ({"is_new": True}, 1)],
    ids=["older ingest", "not new", "new"],
)
async def test_name_is_released_only_if_ingest_has_said_that_it_is_new(
    bus_server: BusServer, answer: dict[str, Any], releases: int
) -> None:
    told: list[dict[str, Any]] = []

    def take(bus: Bus, message: Message) -> None:
        told.append(json.loads(message.payload))
        bus.publish(message.reply, json.dumps({"error": "", **answer}).encode())

    async with scripted_asterisk() as asterisk:
        settings = settings_of(asterisk, bus_server)
        asterisk.answer("POST", "/bridges", 409, EXISTS)
        async with (
            bus_client(settings) as bus,
            bus_client(settings, "ingest") as ingest,
            running_proxy(settings, ["command"]),
        ):
            await ingest.subscribe("bindings_server-1", lambda message: take(ingest, message))
            await until_running(settings, ingest=False)
            command = Command("u", "/bridges?bridgeId=x", "POST")
            response = await call(bus, ServerId("server-1"), command)

    assert response.status_code == 409
    assert [binding["release"] for binding in told] == [False] + [True] * releases


async def test_bridge_stays_with_its_dialog_when_a_channel_of_its_name_has_gone(
    proxy: Setting,
) -> None:
    first = await proxy.begin("a")
    await statuses(proxy, first, "/bridges?bridgeId=x", "/channels?channelId=x")
    await proxy.asterisk.push(channel_event("StasisStart", "x"))
    await proxy.asterisk.push(channel_event("StasisEnd", "x"))
    await proxy.asterisk.push(channel_event("StasisStart", "b"))
    await proxy.client.until(lambda: len(proxy.client.starts) == 2)
    second = DialogId(proxy.client.starts[1]["dialog_id"])
    proxy.asterisk.answer("POST", "/bridges", 409, EXISTS)

    answered = await statuses(proxy, second, "/bridges?bridgeId=x")
    await proxy.asterisk.push('{"type":"BridgeDestroyed","bridge":{"id":"x"}}')
    await proxy.client.until(lambda: "BridgeDestroyed" in proxy.client.types(first))

    assert answered == [409]
