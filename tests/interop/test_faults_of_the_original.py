"""Every row of "what the original gets wrong", on both buses, as a promise of ours."""

import asyncio
import json
from pathlib import Path
from typing import Any

import pytest

from tests.support import process
from tests.support.ports import free_port
from tests.support.running import (
    LegacyClient,
    bus_client,
    running_proxy,
    settings_for,
    until,
    until_done,
)
from tests.support.scripted_asterisk import channel_event, scripted_asterisk
from tests.support.servers import BusServer
from tests.support.setting import Setting, settings_of


async def test_bursts_stay_in_order(proxy: Setting) -> None:
    await proxy.client.start()
    for number in range(20):
        await proxy.asterisk.push(channel_event("StasisStart", f"c{number}"))
    for step in range(100):
        for number in range(20):
            more = f'"variable":"n","value":"{step}",'
            await proxy.asterisk.push(channel_event("ChannelVarset", f"c{number}", more=more))
    client = proxy.client
    await client.until(lambda: [len(e) for e in client.events.values()] == [101] * 20)

    for events in client.events.values():
        assert [event["sequence"] for event in events] == list(range(1, 102))
        steps = [int(json.loads(event["ari_body"])["value"]) for event in events[1:]]
        assert steps == list(range(100))


@pytest.mark.parametrize("late", [0, 0.1, 1.0])
async def test_late_client_gets_the_first_events(proxy: Setting, late: float) -> None:
    client = LegacyClient(proxy.bus, "demo", subscribe_after=late)
    await client.start()
    await proxy.asterisk.push(channel_event("StasisStart", "c"))
    for _ in range(20):
        await proxy.asterisk.push(channel_event("ChannelVarset", "c"))

    dialog_id = await client.first_dialog()
    await client.until(lambda: len(client.events[dialog_id]) == 21)

    assert client.types(dialog_id)[0] == "StasisStart"
    assert len(client.starts) == 1


async def test_first_command_is_never_lost(proxy: Setting) -> None:
    await proxy.client.start()
    for number in range(50):
        await proxy.asterisk.push(channel_event("StasisStart", f"c{number}"))
    client = proxy.client
    await client.until(lambda: len(client.events) == 50 and all(client.events.values()))

    answers = await asyncio.gather(
        *(client.command(dialog, "POST", "/channels/c/answer") for dialog in client.events)
    )

    assert [answer["status_code"] for answer in answers] == [204] * 50


async def test_dummy_is_no_command(proxy: Setting) -> None:
    await proxy.client.start()
    await proxy.asterisk.push(channel_event("StasisStart", "c"))
    dialog_id = await proxy.client.first_dialog()

    await proxy.client.command(dialog_id, "POST", "/channels/c/answer")

    assert [request.target for request in proxy.asterisk.requests] == ["/ari/channels/c/answer"]
    assert len(proxy.client.responses[dialog_id]) == 1


async def test_lost_websocket_is_opened_again(proxy: Setting) -> None:
    await proxy.client.start()
    await proxy.asterisk.push(channel_event("StasisStart", "c"))
    dialog_id = await proxy.client.first_dialog()
    proxy.asterisk.add_channel("c")

    await proxy.asterisk.drop()
    await proxy.asterisk.push(channel_event("ChannelVarset", "c"))

    await proxy.client.until(lambda: len(proxy.client.events[dialog_id]) == 3)
    assert proxy.client.types(dialog_id) == ["StasisStart", "ProxyGap", "ChannelVarset"]


async def test_asterisk_and_bus_may_come_later(own_bus_server: BusServer) -> None:
    own_bus_server.stop()
    port = free_port()
    settings = settings_for(
        own_bus_server,
        rest_url=f"http://127.0.0.1:{port}/ari",
        websocket_url=f"ws://127.0.0.1:{port}/ari/events",
        application="demo",
    )
    async with running_proxy(settings):
        await asyncio.sleep(0.2)  # Some attempts fail.
        own_bus_server.start()
        async with bus_client(settings) as bus, scripted_asterisk(port) as asterisk:
            client = LegacyClient(bus, "demo")
            await client.start()
            await asterisk.push(channel_event("StasisStart", "c"))
            dialog_id = await client.first_dialog()
            answer = await client.command(dialog_id, "POST", "/channels/c/answer")

    assert answer["status_code"] == 204


@pytest.mark.parametrize(
    ("command", "status"),
    [
        ({"method": "GET", "url": "http://elsewhere/"}, 400),
        ({"method": "GET", "url": "/channels/%ff"}, 400),
        ({"method": "BREW", "url": "/channels"}, 405),
        ({"method": "POST", "url": "/channels", "body": "x" * 50_000}, 413),
        ({"method": "GET", "url": 7}, 400),
        ([], 400),
    ],
)
async def test_bad_command_gets_one_response_and_the_next_works(
    proxy: Setting, command: dict[str, Any], status: int
) -> None:
    await proxy.client.start()
    await proxy.asterisk.push(channel_event("StasisStart", "c"))
    dialog_id = await proxy.client.first_dialog()

    payload = json.dumps(command).encode() if command else b"not json"
    proxy.bus.publish(f"commands_{dialog_id}", payload)
    await proxy.client.until(lambda: proxy.client.responses[dialog_id])
    good = await proxy.client.command(dialog_id, "POST", "/channels/c/answer")

    bad = proxy.client.responses[dialog_id][0]
    assert (bad["status_code"], good["status_code"]) == (status, 204)
    assert json.loads(bad["response_body"])["error"].startswith("ari_proxy.")


async def test_refused_request_is_told_from_an_answer_of_asterisk(bus_server: BusServer) -> None:
    async with scripted_asterisk() as asterisk:
        settings = settings_of(asterisk, bus_server)
        nowhere = f"http://127.0.0.1:{free_port()}/ari"
        ari = settings.ari.model_copy(update={"rest_url": nowhere})
        settings = settings.model_copy(update={"ari": ari})
        async with bus_client(settings) as bus, running_proxy(settings):
            client = LegacyClient(bus, "demo")
            await client.start()
            await asterisk.push(channel_event("StasisStart", "c"))
            answer = await client.command(await client.first_dialog(), "GET", "/endpoints")

    assert answer["status_code"] == 502
    assert json.loads(answer["response_body"])["error"] == "ari_proxy.unreachable"
    assert json.loads(answer["response_body"])["sent"] is False


async def test_request_without_answer_times_out(bus_server: BusServer) -> None:
    async with scripted_asterisk() as asterisk:
        settings = settings_of(asterisk, bus_server)
        ari = settings.ari.model_copy(update={"timeout_seconds": 0.2})
        settings = settings.model_copy(update={"ari": ari})
        async with bus_client(settings) as bus, running_proxy(settings):
            client = LegacyClient(bus, "demo")
            await client.start()
            await asterisk.push(channel_event("StasisStart", "c"))
            dialog_id = await client.first_dialog()
            asterisk.hold = asyncio.Event()
            answer = await client.command(dialog_id, "GET", "/endpoints")
            asterisk.hold.set()

    assert answer["status_code"] == 504
    assert json.loads(answer["response_body"])["error"] == "ari_proxy.timeout"


async def test_query_of_a_url_is_kept(proxy: Setting) -> None:
    await proxy.client.start()
    await proxy.asterisk.push(channel_event("StasisStart", "c"))
    dialog_id = await proxy.client.first_dialog()

    await proxy.client.command(dialog_id, "GET", "/channels/c/variable?variable=CHANNEL(state)")

    target = proxy.asterisk.requests[0].target
    assert target == "/ari/channels/c/variable?variable=CHANNEL(state)"


async def test_secrets_travel_in_a_header_only(
    proxy: Setting, caplog: pytest.LogCaptureFixture
) -> None:
    await proxy.client.start()
    await proxy.asterisk.push(channel_event("StasisStart", "c"))
    dialog_id = await proxy.client.first_dialog()
    await proxy.client.command(dialog_id, "GET", "/endpoints")

    upgrade, request = proxy.asterisk.upgrades[0], proxy.asterisk.requests[0]
    assert upgrade["Authorization"] == request.authorization == f"Basic {proxy.asterisk.password}"
    assert "api_key" not in upgrade["target"] + request.target
    assert proxy.asterisk.password not in caplog.text


async def test_bus_that_was_away_is_used_again(own_bus_server: BusServer) -> None:
    async with scripted_asterisk() as asterisk:
        settings = settings_of(asterisk, own_bus_server)
        async with bus_client(settings) as bus, running_proxy(settings):
            client = LegacyClient(bus, "demo")
            await client.start()
            await asterisk.push(channel_event("StasisStart", "c"))
            dialog_id = await client.first_dialog()
            own_bus_server.stop()
            await until(lambda: not bus.is_connected)
            own_bus_server.start()
            await bus.wait_connected()
            await client.until_answered(bus, dialog_id, "POST", "/channels/c/answer")
            await asterisk.push(channel_event("ChannelVarset", "c"))
            await client.until(lambda: client.events[dialog_id][-1]["sequence"] == 2)

    # The first may come again: RabbitMQ may not have got the client's acknowledgement.
    assert {event["sequence"] for event in client.events[dialog_id]} == {1, 2}


async def test_one_leg_that_ends_does_not_end_the_dialog(proxy: Setting) -> None:
    await proxy.client.start()
    await proxy.asterisk.push(channel_event("StasisStart", "c"))
    dialog_id = await proxy.client.first_dialog()
    proxy.asterisk.answer("POST", "/channels", 200, '{"id":"leg"}')
    await proxy.client.command(dialog_id, "POST", "/channels?endpoint=PJSIP/x&app=demo")
    leg = proxy.asterisk.requests[-1].target.partition("channelId=")[2]

    await proxy.asterisk.push(channel_event("StasisStart", leg))
    await proxy.asterisk.push(channel_event("StasisEnd", "c"))
    await proxy.asterisk.push(channel_event("ChannelVarset", leg))
    await proxy.client.until(lambda: len(proxy.client.events[dialog_id]) == 4)
    answer = await proxy.client.command(dialog_id, "POST", f"/channels/{leg}/answer")

    assert len(proxy.client.starts) == 1
    assert answer["status_code"] == 204


async def test_channel_that_enters_again_is_announced_again(proxy: Setting) -> None:
    await proxy.client.start()
    for event_type in ("StasisStart", "StasisEnd", "StasisStart"):
        await proxy.asterisk.push(channel_event(event_type, "c"))

    await proxy.client.until(lambda: len(proxy.client.starts) == 2)

    first, second = (start["dialog_id"] for start in proxy.client.starts)
    assert first != second


@pytest.mark.parametrize("event_type", ["Dial", "DeviceStateChanged", "NewInAsterisk30"])
async def test_no_event_type_is_dropped(proxy: Setting, event_type: str) -> None:
    await proxy.client.start()
    await proxy.client.listen("server-1")
    await proxy.asterisk.push(channel_event("StasisStart", "c"))
    dialog_id = await proxy.client.first_dialog()

    await proxy.asterisk.push(
        f'{{"type":"{event_type}","caller":{{"id":"c"}},"peer":{{"id":"c"}}}}'
    )
    await proxy.asterisk.push(f'{{"type":"{event_type}","device_state":{{"name":"x"}}}}')
    await proxy.client.until(lambda: len(proxy.client.events["server-1"]) == 1)
    await proxy.client.until(lambda: len(proxy.client.events[dialog_id]) == 2)

    assert proxy.client.types("server-1") == [event_type]


async def test_ended_dialogs_leave_nothing_behind(bus_server: BusServer) -> None:
    async with scripted_asterisk() as asterisk:
        settings = settings_of(asterisk, bus_server, ingest={"grace_seconds": 0})
        async with bus_client(settings) as bus, running_proxy(settings):
            client = LegacyClient(bus, "demo")
            await client.start()
            await asterisk.push(channel_event("StasisStart", "warm-up"))
            await asterisk.push(channel_event("StasisEnd", "warm-up"))
            await client.until(
                lambda: client.events and all(len(e) == 2 for e in client.events.values())
            )
            tasks_before = len(asyncio.all_tasks())
            for number in range(200):
                await asterisk.push(channel_event("StasisStart", f"c{number}"))
                await asterisk.push(channel_event("StasisEnd", f"c{number}"))
            await until_done(lambda: sum(map(len, client.events.values())), 2 * 201)
            # The client's own two subscriptions per dialog are tasks of nats-py.
            await until(lambda: len(asyncio.all_tasks()) <= tasks_before + 2 * 200 + 5)


async def test_sigterm_drains_and_exits_with_zero(bus_server: BusServer, tmp_path: Path) -> None:
    environment = {
        "ARI_PROXY_BUS__KIND": bus_server.kind,
        "ARI_PROXY_BUS__URLS": json.dumps([bus_server.url]),
    }
    async with process.running(tmp_path / "log", "standalone", **environment) as proxy:
        await proxy.logged("bus.connected")
        proxy.signal()
        code = await proxy.ended()

    assert code == 0, proxy.log
    assert proxy.events("drain.finished")
