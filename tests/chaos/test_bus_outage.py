"""The bus is away for a while, or a part of it; real Asterisk, NATS and RabbitMQ.

The application is a client of its own kind: nats-py and aio-pika come back in their own time, long
after the proxy.
"""

import asyncio
import itertools
import os
from collections.abc import AsyncIterator, Callable
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path

import pytest

from ari_proxy.client.commands import Topics
from ari_proxy.settings.load import Settings, load
from tests.chaos.conftest import both_connections, calls_over
from tests.support import process
from tests.support.calls import Calls, asterisk_client, body_of
from tests.support.foreign import foreign_nats_client
from tests.support.link import Link
from tests.support.process import environment_of
from tests.support.rabbitmq import RabbitMqServer
from tests.support.running import LegacyClient, bus_client, running_proxy, until, until_serving
from tests.support.servers import PASSWORD, Asterisk, BusServer, NatsCluster, NatsServer

#: Seconds; the long ones take their time, so only `make chaos LONG=1` has them.
OUTAGES = [("inbound", 1), ("outbound", 1), ("inbound", 5)]
if os.environ.get("LONG"):
    OUTAGES = list(itertools.product(["inbound", "outbound"], [1, 5, 30, 180]))


@asynccontextmanager
async def application(server: BusServer) -> AsyncIterator[Topics]:
    """A client that comes back to the bus by itself, in its own time."""
    if server.kind == "NATS":
        async with foreign_nats_client(server.url) as client:
            yield client
    else:
        settings = load(bus={"kind": server.kind, "urls": [server.url]})
        async with bus_client(settings) as bus:
            yield bus


@asynccontextmanager
async def calls_on(
    asterisk: Asterisk,
    server: BusServer,
    settings_of_calls: Callable[..., Settings],
    *,
    buffer_bytes: int = 64 * 1024 * 1024,
) -> AsyncIterator[Calls]:
    """Run the proxy and an application around a block."""
    settings = settings_of_calls(server)
    (name,) = settings.applications
    bus_settings = settings.bus.model_copy(update={"buffer_bytes": buffer_bytes})
    settings = settings.model_copy(update={"bus": bus_settings})
    async with (
        application(server) as topics,
        asterisk_client(asterisk) as rest,
        running_proxy(settings),
    ):
        client = LegacyClient(topics, name)
        await client.start()
        async with bus_client(settings) as bus:
            await until_serving(bus)
        calls = Calls(rest, name, client)
        await calls.until_registered()
        yield calls


@pytest.mark.timeout(300)
@pytest.mark.parametrize(("connection", "seconds"), OUTAGES)
async def test_nothing_is_lost_while_the_bus_is_away(
    own_asterisk: Asterisk,
    own_bus_server: BusServer,
    settings_of_calls: Callable[..., Settings],
    seconds: float,
) -> None:
    async with calls_on(own_asterisk, own_bus_server, settings_of_calls) as calls:
        channels = await calls.place(20)
        async with calls.marking(channels, pause_seconds=0.005):
            await calls.until_more(100)
            own_bus_server.stop()
            await asyncio.sleep(seconds)
            own_bus_server.start()
            await calls.until_more(1)
        await calls.mark_once_more(channels)
        answer = await calls.client.command(
            calls.dialog_of(channels[0]), "POST", f"/channels/{channels[0]}/ring"
        )

        account = calls.account()
        assert account.faults == {}
        assert (account.received, account.lost_in_gaps) == (account.sent, 0)
        assert answer["status_code"] == 204


@both_connections
async def test_what_the_buffer_does_not_hold_is_told_and_shows_as_a_gap_in_the_sequence(
    own_asterisk: Asterisk,
    own_bus_server: BusServer,
    settings_of_calls: Callable[..., Settings],
) -> None:
    small = 64 * 1024
    async with calls_on(
        own_asterisk, own_bus_server, settings_of_calls, buffer_bytes=small
    ) as calls:
        (channel,) = await calls.place(1)
        own_bus_server.stop()
        for _ in range(200):
            await calls.mark(channel)
        own_bus_server.start()
        await calls.until_all_came([channel])
        dialog = calls.dialog_of(channel)
        await until(lambda: "ProxyGap" in calls.client.types(dialog))

        marks = calls.marks(channel)
        events = calls.client.events[dialog]
        sequences = [event["sequence"] for event in events]
        # The oldest are gone, the newest have come, and the hole is as large as what is missing.
        assert marks == calls.sent[channel][-len(marks) :]
        assert 10 < len(marks) < 100
        missing = sequences[-1] - len(set(sequences))
        assert missing == 200 - len(marks)
        gap = body_of(next(event for event in events if event["type"] == "ProxyGap"))
        assert (gap["reason"], gap["count"] >= missing) == ("buffer_full", True)


@both_connections
async def test_rabbitmq_that_was_killed_gets_what_happened_meanwhile(
    own_asterisk: Asterisk,
    own_rabbitmq_server: RabbitMqServer,
    settings_of_calls: Callable[..., Settings],
) -> None:
    link = Link(own_rabbitmq_server.port)
    link.start()
    try:
        async with calls_on(own_asterisk, link, settings_of_calls) as calls:
            channels = await calls.place(10)
            await calls.mark_once_more(channels)
            await asyncio.to_thread(own_rabbitmq_server.sync)
            await asyncio.to_thread(own_rabbitmq_server.kill)
            for _ in range(10):
                await calls.mark_all(channels)
            await asyncio.to_thread(own_rabbitmq_server.start)
            await calls.until_all_came(channels)
            # A call that begins afterwards.
            (later,) = await calls.place(1)
            await calls.mark_once_more([later])

            account = calls.account()
            assert account.faults == {}
            assert account.received == account.sent
    finally:
        link.remove()


@pytest.fixture
async def cluster() -> AsyncIterator[NatsCluster]:
    servers = NatsCluster(3)
    servers.start()
    yield servers
    servers.stop()


async def test_cluster_that_loses_a_server_goes_on_without_an_error(
    own_asterisk: Asterisk, cluster: NatsCluster, tmp_path: Path
) -> None:
    settings = load(
        server_id="server-1",
        applications=("clustered",),
        ari={
            "rest_url": own_asterisk.url,
            "websocket_url": own_asterisk.websocket_url,
            "password": PASSWORD,
        },
        bus={"urls": cluster.urls},
    )
    environment = environment_of(settings)
    async with AsyncExitStack() as running:
        client_settings = load(bus={"urls": cluster.urls[:1]})
        bus = await running.enter_async_context(bus_client(client_settings))
        for component in ("ingest", "command"):
            await running.enter_async_context(
                process.running(tmp_path / component, component, **environment)
            )
        # Another executor, on the server that stays: commands never have to wait.
        other = {**environment, "ARI_PROXY_BUS__URLS": f'["{cluster.urls[0]}"]'}
        await running.enter_async_context(process.running(tmp_path / "other", "command", **other))
        await until_serving(bus)
        rest = await running.enter_async_context(asterisk_client(own_asterisk))
        client = LegacyClient(bus, "clustered")
        await client.start()
        calls = Calls(rest, "clustered", client)
        await calls.until_registered()
        channels = await calls.place(10)
        async with calls.marking(channels):
            await calls.until_more(100)
            # All but the application's own, one after another.
            for server in cluster.servers[1:]:
                server.stop()
                await calls.until_more(200)
                answer = await client.command(
                    calls.dialog_of(channels[0]), "POST", f"/channels/{channels[0]}/ring"
                )
                assert answer["status_code"] == 204
                server.start()
        await calls.mark_once_more(channels)

    account = calls.account()
    assert account.faults == {}
    assert (account.received, account.lost_in_gaps) == (account.sent, 0)


@both_connections
async def test_nats_server_that_is_frozen_is_left_for_a_living_one(
    own_asterisk: Asterisk, own_nats_server: NatsServer, settings_of_calls: Callable[..., Settings]
) -> None:
    link = Link(own_nats_server.port, kind="NATS")
    async with calls_over(link, own_nats_server, own_asterisk, settings_of_calls) as calls:
        channels = await calls.place(5)
        before = link.connections
        link.freeze()
        await calls.mark_all(channels)
        await until(lambda: link.connections > before)
        link.thaw()
        await calls.mark_once_more(channels)

        assert calls.account().faults == {}
