"""How the end of a dialog is told; on real NATS and RabbitMQ."""

import asyncio
import json

import pytest

from ari_proxy.client.application import call
from ari_proxy.ingest.routing import dialog_table
from ari_proxy.protocol import ids, topics
from ari_proxy.protocol.ids import DialogId, ServerId
from ari_proxy.protocol.messages import Command, ServerCommandResponse
from tests.support.durable import queues_of
from tests.support.link import Link
from tests.support.running import LegacyClient, bus_client, running_proxy, until
from tests.support.scripted_asterisk import channel_event, scripted_asterisk
from tests.support.servers import BusServer, NatsServer
from tests.support.setting import Setting, serving, settings_of

SERVER = ServerId("server-1")
PLACE = "/channels?endpoint=Local/x&app=demo"


async def chosen(setting: Setting) -> DialogId:
    """Listen to a dialog that the client chooses."""
    dialog = ids.new_dialog_id(SERVER)
    await setting.client.listen(dialog)
    return dialog


async def place(setting: Setting, dialog: str, url: str = PLACE) -> ServerCommandResponse:
    return await call(setting.bus, SERVER, Command("1", url, "POST", dialog_id=dialog))


def ends(client: LegacyClient, dialog: str) -> list[tuple[str, int]]:
    """Reason and sequence of each end that was told."""
    others = [e for e in client.events[dialog] if e["type"] == "ProxyDialogEnded"]
    told = [*client.ends.get(dialog, []), *others]
    return [(json.loads(event["ari_body"])["reason"], event["sequence"]) for event in told]


async def end_of(setting: Setting, dialog: str) -> tuple[str, int]:
    await setting.client.until(lambda: ends(setting.client, dialog))
    (end,) = ends(setting.client, dialog)
    return end


async def test_normal_end_is_told_behind_the_late_events(bus_server: BusServer) -> None:
    async with serving(bus_server) as setting:
        dialog = await setting.begin()
        await setting.asterisk.push(channel_event("StasisEnd", "c"))
        await setting.client.until_events(dialog, 2)
        await setting.asterisk.push(channel_event("ChannelDestroyed", "c"))
        end = await end_of(setting, dialog)

    assert setting.client.types(dialog) == ["StasisStart", "StasisEnd", "ChannelDestroyed"]
    assert end == ("channels_left", 4)
    body = json.loads(setting.client.ends[dialog][0]["ari_body"])
    assert (body["application"], body["channels"]) == ("demo", [])


async def test_end_is_told_before_ingest_stops(bus_server: BusServer) -> None:
    async with scripted_asterisk() as asterisk:
        settings = settings_of(asterisk, bus_server)
        async with bus_client(settings) as bus:
            setting = Setting(asterisk, settings, bus, LegacyClient(bus, "demo"))
            async with running_proxy(settings, ["ingest"]):
                dialog = await setting.begin()
                await asterisk.push(channel_event("StasisEnd", "c"))
                await setting.client.until_events(dialog, 2)
            end = await end_of(setting, dialog)

    assert end == ("channels_left", 3)


async def test_end_of_a_refused_call_is_told_and_nobody_missed(
    bus_server: BusServer, capsys: pytest.CaptureFixture[str]
) -> None:
    async with serving(bus_server, ingest={"silence_seconds": 0.5}) as setting:
        setting.asterisk.answer("POST", "/channels", 500, '{"error":"Allocation failed"}')
        dialog = await chosen(setting)
        response = await place(setting, dialog)
        end = await end_of(setting, dialog)

    assert response.status_code == 500
    assert end == ("not_created", 1)
    assert "no_listener" not in capsys.readouterr().out


async def test_call_that_is_tried_again_in_its_dialog_lives(bus_server: BusServer) -> None:
    async with serving(bus_server) as setting:
        setting.asterisk.answer("POST", "/channels", 500, '{"error":"Allocation failed"}')
        dialog = await chosen(setting)
        await place(setting, dialog, f"{PLACE}&channelId=mine")
        await place(setting, dialog, f"{PLACE}&channelId=mine")
        for event_type in ("StasisStart", "ChannelVarset"):
            await setting.asterisk.push(channel_event(event_type, "mine"))
        await setting.client.until_events(dialog, 2)
        await asyncio.sleep(2 * dialog_table.TELL_SECONDS)  # It would have been told by then.
        told_early = ends(setting.client, dialog)
        await setting.asterisk.push(channel_event("StasisEnd", "mine"))
        end = await end_of(setting, dialog)

    assert told_early == []
    assert end == ("channels_left", 4)


async def test_application_of_a_call_that_could_not_be_made_is_not_missed(
    nats_server: NatsServer, capsys: pytest.CaptureFixture[str]
) -> None:
    """The channel's end is all that Asterisk tells, and the application does not listen to it."""
    ingest = {"silence_seconds": 0.5, "listener_seconds": 0.5}
    async with serving(nats_server, ingest=ingest) as setting:
        dialog = ids.new_dialog_id(SERVER)
        await place(setting, dialog, f"{PLACE}&channelId=mine")
        await setting.asterisk.push(channel_event("ChannelDestroyed", "mine"))
        told = ""

        def is_over() -> bool:
            nonlocal told
            told += capsys.readouterr().out
            return "dialog.ended" in told

        await until(is_over)

    told += capsys.readouterr().out
    assert "dialog.no_listener" not in told
    assert "dialog.application_gone" not in told


async def test_application_that_comes_too_late_is_told_why_its_call_is_over(
    rabbitmq_link: Link,
) -> None:
    """It has taken the AppStart, and no event in time."""
    async with serving(rabbitmq_link, ingest={"listener_seconds": 1}) as setting:
        taken: list[str] = []
        await setting.bus.subscribe(
            "demo", lambda message: taken.append(json.loads(message.payload)["dialog_id"])
        )
        await setting.asterisk.push(channel_event("StasisStart", "c"))
        given_up = ("POST", "/ari/channels/c/continue")
        await until(lambda: given_up in [(r.method, r.target) for r in setting.asterisk.requests])
        await setting.asterisk.push(channel_event("StasisEnd", "c"))
        await setting.client.listen(taken[0])
        end = await end_of(setting, taken[0])
        await queues_of(setting.bus).delete(topics.of_dialog(DialogId(taken[0])))

    assert end[0] == "no_listener"
