"""How a dialog finds its application, or does not; on real NATS and RabbitMQ."""

import json
import sys
from collections.abc import AsyncGenerator
from types import AsyncGeneratorType
from typing import Any

import pytest

from tests.support.running import LegacyClient, until
from tests.support.scripted_asterisk import channel_event
from tests.support.servers import BusServer
from tests.support.setting import proxy_with


@pytest.mark.parametrize(
    ("policy", "requests"),
    [
        (
            "continue",
            [
                ("POST", "/channels/c/variable?variable=ARI_PROXY_STATUS&value=NO_APPLICATION"),
                ("POST", "/channels/c/continue"),
            ],
        ),
        ("hangup", [("DELETE", "/channels/c")]),
    ],
)
async def test_caller_whom_nobody_serves_is_not_left_in_stasis(
    bus_server: BusServer, policy: str, requests: list[tuple[str, str]]
) -> None:
    async with proxy_with(bus_server, no_listener=policy, listener_seconds=1) as setting:
        await setting.asterisk.push(channel_event("StasisStart", "c"))
        await until(lambda: len(setting.asterisk.requests) == len(requests))
        sent = setting.asterisk.requests
        await setting.client.start()
        await setting.asterisk.push(channel_event("StasisStart", "other"))
        await setting.client.first_dialog()

    assert [(r.method, r.target.removeprefix("/ari")) for r in sent] == requests
    assert [start["channel_id"] for start in setting.client.starts] == ["other"]


async def test_caller_learns_that_the_bus_was_away(own_bus_server: BusServer) -> None:
    async with proxy_with(own_bus_server, listener_seconds=1) as setting:
        await until(setting.asterisk.connected.is_set)
        own_bus_server.stop()
        await until(lambda: not setting.bus.is_connected)
        await setting.asterisk.push(channel_event("StasisStart", "c"))
        await until(lambda: len(setting.asterisk.requests) == 2)
        own_bus_server.start()

    variable = "/ari/channels/c/variable?variable=ARI_PROXY_STATUS&value=BUS_UNAVAILABLE"
    assert setting.asterisk.requests[0].target == variable


async def test_kept_call_waits_for_its_application(bus_server: BusServer) -> None:
    async with proxy_with(bus_server, no_listener="keep", listener_seconds=0.01) as setting:
        await setting.client.listen("server-1")
        for event_type in ("StasisStart", "ChannelVarset", "ChannelDtmfReceived"):
            await setting.asterisk.push(channel_event(event_type, "c"))
        await setting.asterisk.push('{"type":"DeviceStateChanged","device_state":{}}')
        await setting.client.until(lambda: setting.client.types("server-1"))
        await setting.client.start()
        dialog = await setting.client.first_dialog()
        await setting.client.until_events(dialog, 3)

    assert [event["sequence"] for event in setting.client.events[dialog]] == [1, 2, 3]
    assert setting.asterisk.requests == []


async def test_dialog_that_begins_while_the_bus_is_away_loses_nothing(
    own_bus_server: BusServer,
) -> None:
    async with proxy_with(own_bus_server) as setting:
        client = setting.client
        await client.start()
        await setting.begin("first")
        own_bus_server.stop()
        for number in range(5):
            await setting.asterisk.push(channel_event("StasisStart", f"c{number}"))
            await setting.asterisk.push(channel_event("ChannelVarset", f"c{number}"))
        own_bus_server.start()
        await client.until(lambda: len(received(client)) == 11)

    # The first one may come again: RabbitMQ may not have got the client's acknowledgement.
    assert sorted(sequence for _, sequence in received(client)) == [1] * 6 + [2] * 5
    for events in list(client.events.values())[1:]:
        assert [event["sequence"] for event in events] == [1, 2]


def received(client: LegacyClient) -> set[tuple[str, int]]:
    return {
        (dialog, event["sequence"]) for dialog, events in client.events.items() for event in events
    }


async def test_what_is_held_for_a_late_application_is_bounded(bus_server: BusServer) -> None:
    async with proxy_with(bus_server, no_listener="keep", held_bytes=4096) as setting:
        await setting.client.listen("server-1")
        await setting.asterisk.push(channel_event("StasisStart", "c"))
        for _ in range(100):
            await setting.asterisk.push(channel_event("ChannelVarset", "c"))
        await setting.asterisk.push('{"type":"DeviceStateChanged","device_state":{}}')
        await setting.client.until(lambda: setting.client.types("server-1"))
        await setting.client.start()
        dialog = await setting.client.first_dialog()
        await setting.client.until(lambda: "ProxyGap" in setting.client.types(dialog))

    *passed, told = setting.client.events[dialog]
    sequences = [event["sequence"] for event in passed]
    assert sequences[0] == 1
    assert sequences[1:] == list(range(101 - len(sequences) + 2, 102))
    gap = json.loads(told["ari_body"])
    assert (gap["reason"], gap["count"]) == ("buffer_full", 101 - len(sequences))
    assert sum(len(payload) for payload in setting.client.raw_events) < 2 * 4096


async def test_nothing_of_a_set_up_is_left_to_the_garbage_collector(
    bus_server: BusServer,
) -> None:
    """It would close a generator in a task that nobody has begun, and nobody awaits."""
    left: list[str] = []
    hooks = sys.get_asyncgen_hooks()

    def on_left(generator: AsyncGenerator[Any, Any]) -> None:
        assert isinstance(generator, AsyncGeneratorType)
        if "ari_proxy" in generator.ag_code.co_filename:
            left.append(generator.__qualname__)
        assert hooks.finalizer is not None
        hooks.finalizer(generator)

    sys.set_asyncgen_hooks(hooks.firstiter, on_left)
    try:
        async with proxy_with(bus_server) as setting:
            dialog = await setting.begin()
            await setting.asterisk.push(channel_event("ChannelVarset", "c"))
            await setting.client.until_events(dialog, 2)
    finally:
        sys.set_asyncgen_hooks(*hooks)
    assert left == []
