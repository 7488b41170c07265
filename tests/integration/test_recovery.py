"""What becomes of dialogs at a connect, told by a scripted Asterisk; on real buses."""

import asyncio
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from functools import partial
from typing import Any

from ari_proxy.bus.listeners import has_listener
from ari_proxy.client.application import Application
from ari_proxy.client.call import Call
from ari_proxy.ingest.recovery.unserved import UNSERVED_SECONDS
from ari_proxy.protocol.timestamps import seconds_of
from ari_proxy.settings.load import load
from tests.support.calls import body_of
from tests.support.link import Link
from tests.support.running import LegacyClient, bus_client, running_proxy, until, until_running
from tests.support.scripted_asterisk import ScriptedAsterisk, channel_event, scripted_asterisk
from tests.support.servers import BusServer
from tests.support.setting import Setting, settings_of

PROBE = json.dumps(
    {"server_id": "", "timestamp": "", "type": "ProxyProbe", "ari_body": "{}"}
).encode()


@asynccontextmanager
async def ingest_of(asterisk: ScriptedAsterisk, bus_server: BusServer) -> AsyncIterator[Setting]:
    settings = settings_of(asterisk, bus_server)
    async with bus_client(settings) as bus:
        client = LegacyClient(bus, "demo")
        await client.start()
        await client.listen("server-1")
        async with running_proxy(settings, ["ingest"]):
            yield Setting(asterisk, settings, bus, client)


async def until_ended(client: LegacyClient, dialog: str) -> dict[str, Any]:
    await client.until(lambda: "ProxyDialogEnded" in client.types_of(dialog))
    return body_of(client.events[dialog][-1])


async def test_call_whose_start_was_lost_is_served_late_and_told_of_its_gap(
    bus_server: BusServer,
) -> None:
    async with scripted_asterisk() as asterisk:
        asterisk.add_channel("seen", "demo,a,b", name="PJSIP/x")
        asterisk.add_channel("elsewhere", "other")
        async with ingest_of(asterisk, bus_server) as setting:
            client = setting.client
            dialog = await client.first_dialog()
            await client.until_events(dialog, 2)
            await asterisk.push(channel_event("ChannelVarset", "seen"))
            await client.until_events(dialog, 3)

    assert [start["channel_id"] for start in client.starts] == ["seen"]
    assert client.types(dialog) == ["StasisStart", "ProxyGap", "ChannelVarset"]
    start = body_of(client.events[dialog][0])
    assert (start["args"], start["channel"]["name"]) == (["a", "b"], "PJSIP/x")
    assert start["reconstructed"] is True
    assert len(asterisk.marks) == 1


async def test_channel_that_could_not_be_marked_in_time_is_marked_later(
    bus_server: BusServer,
) -> None:
    """Its caller does not wait; a successor would take it for a call that nobody has seen."""
    async with scripted_asterisk() as asterisk, ingest_of(asterisk, bus_server) as setting:
        asterisk.late_marks = 1
        await asterisk.push(channel_event("StasisStart", "c"))
        asterisk.add_channel("c")
        dialog = await setting.client.first_dialog()
        await until(lambda: len(asterisk.marks) == 2)
        assert setting.client.types(dialog) == ["StasisStart"]
    assert all(f"value={dialog}&" in mark.target for mark in asterisk.marks)


async def test_start_that_comes_after_the_list_begins_one_dialog(
    bus_server: BusServer,
) -> None:
    async with scripted_asterisk() as asterisk:
        asterisk.add_channel("c")
        async with ingest_of(asterisk, bus_server) as setting:
            await setting.asterisk.push(channel_event("StasisStart", "c"))
            dialog = await setting.client.first_dialog()
            await asyncio.sleep(UNSERVED_SECONDS + 0.5)

    assert setting.client.types(dialog) == ["StasisStart"]
    assert len(setting.client.starts) == 1


async def test_call_that_is_over_before_the_list_is_looked_at_again_is_not_served_twice(
    bus_server: BusServer,
) -> None:
    async with scripted_asterisk() as asterisk:
        asterisk.add_channel("c")  # Asterisk goes on listing it for a while.
        async with ingest_of(asterisk, bus_server) as setting:
            await setting.asterisk.push(channel_event("StasisStart", "c"))
            dialog = await setting.client.first_dialog()
            await setting.asterisk.push(channel_event("StasisEnd", "c"))
            await setting.client.until(lambda: len(setting.client.types(dialog)) == 2)
            await asyncio.sleep(UNSERVED_SECONDS + 0.5)

    assert len(setting.client.starts) == 1


async def test_events_do_not_wait_for_lists_that_do_not_come(
    bus_server: BusServer,
) -> None:
    async with scripted_asterisk() as asterisk:
        asterisk.unlisted = 10**6
        async with ingest_of(asterisk, bus_server) as setting:
            await asterisk.push(channel_event("StasisStart", "new"))
            dialog = await setting.client.first_dialog()
            # What begins meanwhile is not taken for lost when the lists are there at last.
            asterisk.unlisted = 0
            await setting.client.until(lambda: setting.client.recoveries)
            await asterisk.push(channel_event("ChannelVarset", "new"))
            await setting.client.until_events(dialog, 2)

    assert setting.client.types(dialog) == ["StasisStart", "ChannelVarset"]


async def test_call_that_was_held_back_and_lost_with_its_connection_ends(
    bus_server: BusServer,
) -> None:
    async with scripted_asterisk() as asterisk:
        asterisk.unlisted = 10**6
        async with ingest_of(asterisk, bus_server) as setting:
            await asterisk.push(channel_event("StasisStart", "c"))
            await asyncio.sleep(0.2)
            await asterisk.drop()
            asterisk.unlisted = 0
            dialog = await setting.client.first_dialog()
            ended = await until_ended(setting.client, dialog)

    assert (ended["reason"], ended["channels"]) == ("channels_gone", ["c"])


async def test_all_open_dialogs_are_told_after_a_recovery(bus_server: BusServer) -> None:
    async with scripted_asterisk() as asterisk, ingest_of(asterisk, bus_server) as setting:
        client = setting.client
        dialog = await setting.begin("c")
        asterisk.add_channel("c")
        await asterisk.drop()
        await client.until(lambda: len(client.recoveries) == 2)
        await client.until(lambda: "ProxyGap" in client.types(dialog))

    recovered = body_of(client.recoveries[-1])
    assert recovered["dialogs"] == [dialog]
    # Comparable, since which of these topics is faster is not known.
    first, second = (seconds_of(event["timestamp"]) for event in client.recoveries)
    begun_at = seconds_of(client.starts[0]["timestamp"])
    assert first is not None
    assert begun_at is not None
    assert second is not None
    assert first < begun_at < second


async def test_application_in_python_ends_no_dialog_that_is_newer_than_the_list(
    bus_server: BusServer,
) -> None:
    """AppStart and the list come on two topics, so a list may come late."""
    got: dict[str, list[str]] = {"server-1.old": [], "server-1.new": []}
    ended: list[bool] = []

    async def serve(call: Call) -> None:
        async for event in call.events():
            got[call.dialog_id].append(event.type)

    def message(**fields: object) -> bytes:
        return json.dumps({"server_id": "server-1", **fields}).encode()

    settings = load(bus={"kind": bus_server.kind, "urls": [bus_server.url]})
    async with (
        bus_client(settings) as bus,
        bus_client(settings, "ingest") as ingest,
        asyncio.TaskGroup() as tasks,
    ):
        application = tasks.create_task(Application(bus, "demo", serve).run())
        for second, dialog in enumerate(got, start=10):
            timestamp = f"2026-01-01T00:00:{second}.5Z"
            start = message(application="demo", dialog_id=dialog, timestamp=timestamp)
            await until(partial(ingest.publish_to_listener, "demo", start))
            await until(partial(has_listener, ingest, f"events_{dialog}", PROBE))
        body = json.dumps({"type": "ProxyRecovered", "dialogs": []})
        recovered = {"type": "ProxyRecovered", "ari_body": body}
        for timestamp in ("2026-01-01T00:00:11.123456789Z", "2026-01-01T00:00:12Z"):
            event = message(timestamp=timestamp, **recovered)
            ingest.publish("events_server-1", event)
            await until(lambda: got["server-1.old"])
            # The second list, made later, proves that the first one was listened to.
            ended.append(bool(got["server-1.new"]))
        await until(lambda: got["server-1.new"])
        application.cancel()

    assert ended[0] is False
    assert got == {dialog: ["ProxyDialogEnded"] for dialog in got}


async def test_application_in_python_ends_what_nobody_has_found_again(
    bus_server: BusServer,
) -> None:
    ends: list[str] = []

    async def serve(call: Call) -> None:
        ends.append([event.type async for event in call.events()][-1])

    async with scripted_asterisk() as asterisk:
        settings = settings_of(asterisk, bus_server)
        async with bus_client(settings) as bus, asyncio.TaskGroup() as tasks:
            application = tasks.create_task(Application(bus, "demo", serve).run())
            async with running_proxy(settings, ["ingest"]) as stop:
                await asterisk.push(channel_event("StasisStart", "c"))
                await until(lambda: asterisk.marks)
                await asyncio.sleep(0.3)  # It is being served.
                stop.set()
            asterisk.connected.clear()
            # The call has ended while no ingest was there.
            async with running_proxy(settings, ["ingest"]):
                await until(lambda: ends)
            application.cancel()

    assert ends == ["ProxyDialogEnded"]


async def test_queue_of_a_call_that_ended_unseen_is_told_so(
    rabbitmq_link: Link,
) -> None:
    async with scripted_asterisk() as asterisk:
        settings = settings_of(asterisk, rabbitmq_link)
        async with bus_client(settings) as bus:
            client = LegacyClient(bus, "demo")
            await client.start()
            setting = Setting(asterisk, settings, bus, client)
            async with running_proxy(settings, ["ingest"]):
                dialog = await setting.begin("c")
            asterisk.connected.clear()
            async with running_proxy(settings, ["ingest"]):
                ended = await until_ended(client, dialog)

    assert (ended["application"], ended["channels"]) == ("demo", [])
    sequences = [event["sequence"] for event in client.events[dialog]]
    assert sequences == sorted(sequences)


async def test_ingest_of_another_asterisk_gets_no_dialogs(bus_server: BusServer) -> None:
    """Two servers with one id: the first one keeps what it has."""
    async with (
        scripted_asterisk() as first,
        scripted_asterisk() as second,
        ingest_of(first, bus_server) as setting,
    ):
        await until_running(setting.settings, command=False)
        dialog = await setting.begin("c")
        async with running_proxy(settings_of(second, bus_server), ["ingest"]):
            async with asyncio.timeout(10):
                await second.connected.wait()
            await asyncio.sleep(1.5)  # It has asked, and was refused.
            await first.push(channel_event("ChannelVarset", "c"))
            await setting.client.until_events(dialog, 2)

    assert setting.client.types(dialog) == ["StasisStart", "ChannelVarset"]


async def test_ingest_that_has_refused_to_hand_over_connects_again(bus_server: BusServer) -> None:
    async with (
        scripted_asterisk() as first,
        scripted_asterisk() as second,
        ingest_of(first, bus_server) as setting,
    ):
        await until_running(setting.settings, command=False)
        async with running_proxy(settings_of(second, bus_server), ["ingest"]):
            async with asyncio.timeout(10):
                await second.connected.wait()
            await asyncio.sleep(1.5)  # It has asked, and was refused.
            await first.drop()
            async with asyncio.timeout(10):
                await first.connected.wait()
