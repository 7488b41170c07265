"""The servers of a NATS cluster are restarted one after another, under calls on a real Asterisk."""

import asyncio
import json
import os
from collections.abc import AsyncIterator, Iterator
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path

import pytest

from ari_proxy.settings.load import load
from tests.support import process
from tests.support.calls import Calls, asterisk_client
from tests.support.process import environment_of
from tests.support.running import LegacyClient, bus_client, until, until_serving
from tests.support.servers import PASSWORD, Asterisk, NatsCluster, NatsServer

#: In short runs the application's own server stays.
IS_LONG = bool(os.environ.get("LONG"))
#: How a server is stopped; one that just ends takes the application's connection with it, so that
#: the application's own server is left out then.
WAYS = ["lame_duck", "terminated"] if IS_LONG else ["lame_duck"]


@pytest.fixture
def cluster(tmp_path: Path) -> Iterator[NatsCluster]:
    config = tmp_path / "nats.conf"
    config.write_text('lame_duck_grace_period: "5s"\n')
    servers = NatsCluster(3, "-c", str(config))
    servers.start()
    yield servers
    servers.stop()


@asynccontextmanager
async def commanding(
    client: LegacyClient, calls: Calls, channel: str, statuses: list[int]
) -> AsyncIterator[None]:
    """Send one command after another around a block, and note the statuses of the answers."""
    is_over = asyncio.Event()

    async def command() -> None:
        dialog = calls.dialog_of(channel)
        command = {"method": "POST", "url": f"/channels/{channel}/ring", "body": ""}
        while not is_over.is_set():
            # With ids, as the Python client sends them: a bus that moves takes responses that are
            # alike for one that has come on both connections.
            numbered = command | {"unique_id": str(len(statuses))}
            answer = await client.send(dialog, json.dumps(numbered).encode())
            assert answer["unique_id"] == numbered["unique_id"]
            statuses.append(answer["status_code"])
            await asyncio.sleep(0.005)

    async with asyncio.TaskGroup() as tasks:
        tasks.create_task(command())
        try:
            yield
        finally:
            is_over.set()


async def restart(server: NatsServer, way: str) -> None:
    if way == "lame_duck":
        server.leave()
    else:
        server.terminate()
    await until(lambda: server.has_ended)
    await asyncio.to_thread(server.start)


@pytest.mark.timeout(120)
@pytest.mark.parametrize("way", WAYS)
async def test_rolling_restart_of_nats_loses_nothing(
    own_asterisk: Asterisk, cluster: NatsCluster, tmp_path: Path, way: str
) -> None:
    ingest_on, command_on, application_on = cluster.servers
    settings = load(
        server_id="server-1",
        applications=("rolling",),
        ari={
            "rest_url": own_asterisk.url,
            "websocket_url": own_asterisk.websocket_url,
            "password": PASSWORD,
        },
        bus={"urls": [ingest_on.url]},
    )
    async with AsyncExitStack() as running:
        of_application = load(bus={"urls": [application_on.url]})
        bus = await running.enter_async_context(bus_client(of_application))
        processes = []
        for component, server in (("ingest", ingest_on), ("command", command_on)):
            environment = environment_of(settings) | {"ARI_PROXY_BUS__URLS": f'["{server.url}"]'}
            log = tmp_path / component
            started = process.running(log, component, **environment)
            processes.append(await running.enter_async_context(started))
        await until_serving(bus)
        rest = await running.enter_async_context(asterisk_client(own_asterisk))
        # Without a group, as the Python client: a group's messages come on either connection while
        # the bus moves, as if it had two members.
        client = LegacyClient(bus, "rolling", event_group="")
        await client.start()
        calls = Calls(rest, "rolling", client)
        await calls.until_registered()
        channels, statuses = await calls.place(5), list[int]()
        async with calls.marking(channels):
            if way == "lame_duck":
                async with commanding(client, calls, channels[0], statuses):
                    for server in cluster.servers if IS_LONG else (ingest_on, command_on):
                        await restart(server, way)
                        await calls.until_more(100)
                    answered = len(statuses)
                    await until(lambda: len(statuses) > answered + 10)
            else:
                for server in (ingest_on, command_on):
                    await restart(server, way)
                    await calls.until_more(100)
                    await until_serving(bus)
                    answer = await client.command(
                        calls.dialog_of(channels[0]), "POST", f"/channels/{channels[0]}/ring"
                    )
                    statuses.append(answer["status_code"])
        await calls.mark_once_more(channels)

    account = calls.account()
    assert account.faults == {}, [
        one.events("bus.moved")
        + one.events("bus.servers_apart")
        + one.events("bus.refused")
        + one.events("bus.disconnected")
        for one in processes
    ]
    assert (account.received, account.lost_in_gaps) == (account.sent, 0)
    assert set(statuses) == {204}
    if way == "lame_duck":
        assert account.repeated == 0
        assert bus.reconnects == 0
        assert [one.events("bus.disconnected") for one in processes] == [[], []]
