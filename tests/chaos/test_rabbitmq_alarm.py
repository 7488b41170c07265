"""RabbitMQ is low on memory or disk: it takes no messages, and delivers on."""

import asyncio
import json
from pathlib import Path
from typing import Literal

import pytest

from tests.support import process
from tests.support.durable import queues_of
from tests.support.foreign import foreign_client
from tests.support.process import environment_of
from tests.support.rabbitmq import RabbitMqServer
from tests.support.running import LegacyClient, bus_client, until, until_serving
from tests.support.scripted_asterisk import channel_event, scripted_asterisk
from tests.support.setting import settings_of


@pytest.mark.parametrize("resource", ["memory", "disk"])
async def test_calls_wait_and_go_on_with_the_true_reason(
    own_rabbitmq_server: RabbitMqServer, tmp_path: Path, resource: Literal["memory", "disk"]
) -> None:
    async with scripted_asterisk() as asterisk:
        settings = settings_of(asterisk, own_rabbitmq_server)
        environment = environment_of(settings) | {"ARI_PROXY_INGEST__LISTENER_SECONDS": "2"}
        async with (
            bus_client(settings) as bus,
            process.running(tmp_path / "log", "ingest", **environment) as ingest,
        ):
            await until_serving(bus, command=False)
            client = LegacyClient(bus, "demo")
            await client.start()
            await asterisk.push(channel_event("StasisStart", "before"))
            await client.first_dialog()
            async with own_rabbitmq_server.low_on(resource):
                for number in range(5):
                    await asterisk.push(channel_event("StasisStart", f"c{number}"))
                await until(lambda: len(asterisk.requests) == 10)
                status, text = await ingest.admin("/readyz")
                _, metrics = await ingest.admin("/metrics")
            await asterisk.push(channel_event("StasisStart", "after"))
            await client.until(lambda: any(s["channel_id"] == "after" for s in client.starts))
            _, after = await ingest.admin("/readyz")

    told = {request.target for request in asterisk.requests if "variable" in request.target}
    variable = "variable?variable=ARI_PROXY_STATUS&value=BUS_BLOCKED"
    assert told == {f"/ari/channels/c{number}/{variable}" for number in range(5)}
    assert (status, json.loads(text)["checks"]["bus"]) == (503, f"blocked: low on {resource}")
    assert 'ariproxy_bus_blocked{bus="RABBITMQ",server_id="server-1"} 1.0' in metrics
    assert 'ariproxy_bus_connected{bus="RABBITMQ",server_id="server-1"} 1.0' in metrics
    assert [line["reason"] for line in ingest.events("bus.blocked")] == [f"low on {resource}"]
    assert json.loads(after)["checks"]["bus"] == "ok"


async def test_call_that_comes_during_a_short_alarm_is_served_after_it(
    own_rabbitmq_server: RabbitMqServer, tmp_path: Path
) -> None:
    async with scripted_asterisk() as asterisk:
        settings = settings_of(asterisk, own_rabbitmq_server)
        environment = environment_of(settings) | {"ARI_PROXY_INGEST__LISTENER_SECONDS": "60"}
        async with (
            bus_client(settings) as bus,
            process.running(tmp_path / "log", "ingest", **environment) as ingest,
        ):
            await until_serving(bus, command=False)
            client = LegacyClient(bus, "demo")
            await client.start()
            async with own_rabbitmq_server.low_on("memory"):
                for number in range(5):
                    await asterisk.push(channel_event("StasisStart", f"c{number}"))
                    await asterisk.push(channel_event("ChannelVarset", f"c{number}"))
                await ingest.logged("bus.blocked")
            await client.until(lambda: len(client.events) == 5)
            await client.until(lambda: all(len(events) == 2 for events in client.events.values()))

    assert {start["channel_id"] for start in client.starts} == {f"c{n}" for n in range(5)}
    assert asterisk.requests == []


async def test_commands_are_executed_during_an_alarm_and_answered_after_it(
    own_rabbitmq_server: RabbitMqServer, tmp_path: Path
) -> None:
    async with scripted_asterisk() as asterisk:
        settings = settings_of(asterisk, own_rabbitmq_server)
        environment = environment_of(settings)
        async with (
            foreign_client(own_rabbitmq_server.url) as foreign,
            bus_client(settings) as bus,
            process.running(tmp_path / "ingest", "ingest", **environment),
            process.running(tmp_path / "command", "command", **environment) as executor,
        ):
            await until_serving(bus)
            client = LegacyClient(foreign, "demo")
            await client.start()
            await asterisk.push(channel_event("StasisStart", "c"))
            dialog = await client.first_dialog()
            asterisk.hold = asyncio.Event()
            for number in range(20):
                url = f"/channels/c/ring?n={number}"
                command = {"unique_id": f"{number}", "method": "POST", "url": url, "body": ""}
                foreign.publish(f"commands_{dialog}", json.dumps(command).encode())
            await until(lambda: asterisk.requests)
            async with own_rabbitmq_server.low_on("memory"):
                asterisk.hold.set()
                asterisk.hold = None
                await until(lambda: len(asterisk.requests) == 20)
                await executor.logged("bus.blocked")
            await client.until(lambda: len(client.responses[dialog]) == 20)

    assert [r["unique_id"] for r in client.responses[dialog]] == [f"{n}" for n in range(20)]
    assert {r["status_code"] for r in client.responses[dialog]} == {204}


async def test_what_is_published_during_an_alarm_comes_after_it_in_order(
    own_rabbitmq_server: RabbitMqServer,
) -> None:
    async with scripted_asterisk() as asterisk:
        settings = settings_of(asterisk, own_rabbitmq_server)
        got: list[bytes] = []
        async with bus_client(settings) as bus, bus_client(settings) as other:
            await other.subscribe("alarm-order", lambda message: got.append(message.payload))
            async with own_rabbitmq_server.low_on("memory"):
                bus.publish("alarm-order", b"0")
                await until(lambda: bus.is_blocked)
                for number in range(1, 2000):
                    bus.publish("alarm-order", b"%d" % number + bytes(10_000))
                held = bus.buffered_bytes
            await until(lambda: len(got) == 2000)
            await bus.flush(timeout_seconds=10)
            await queues_of(bus).delete(["alarm-order"])

    assert held > 10_000_000
    assert [payload.rstrip(b"\0") for payload in got] == [b"%d" % n for n in range(2000)]
    assert (bus.dropped, bus.reconnects) == (0, 0)
