"""Strangers open ten thousand connections; a real Asterisk among them loses no event."""

import asyncio
import os
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path

import aiohttp
import pytest
from prometheus_client.parser import text_string_to_metric_families

from ari_proxy.admin.connections import MAX_CONNECTIONS
from ari_proxy.ari.listener import MAX_OPENING
from tests.support import process
from tests.support.hostile import (
    HostilePeers,
    as_many_descriptors_as_allowed,
    descriptors,
    limit_descriptors,
    resident_bytes,
)
from tests.support.outbound_stage import OutboundStage, outbound_stage
from tests.support.process import Process
from tests.support.running import until
from tests.support.servers import NatsServer

PEERS = 10_000 if os.environ.get("LONG") else 2_000
#: Of the admin API.
STRANGERS = PEERS if os.environ.get("LONG") else 1_000
#: Of the process: more than the bounds of both listeners together.
LIMIT = 256
#: Connections that are over and about to be closed.
CLOSING = 16
MORE_BYTES = 24 * 2**20


@pytest.fixture
async def stage(nats_server: NatsServer, tmp_path: Path) -> AsyncIterator[OutboundStage]:
    async with outbound_stage(tmp_path, nats_server, "hostile") as found:
        yield found


@asynccontextmanager
async def ingest(stage: OutboundStage, log: Path) -> AsyncIterator[Process]:
    environment = stage.environment | {"ARI_PROXY_ADMIN__CONSOLE": "true"}
    async with process.running(log, "ingest", **environment) as running:
        await running.logged("ari_listener.bound")
        yield running


def listener_port(stage: OutboundStage) -> int:
    return int(stage.settings.ari.listen.rpartition(":")[2])


async def admin_port(running: Process) -> int:
    return int((await running.logged("admin.listening"))["port"])


async def refused(running: Process, metric: str) -> dict[str, float]:
    """Return the refused peers of a metric by reason."""
    _, text = await running.admin("/metrics")
    return {
        sample.labels["reason"]: sample.value
        for family in text_string_to_metric_families(text)
        for sample in family.samples
        if sample.name == metric
    }


async def connect_in_waves(peers: HostilePeers, count: int, pid: int) -> int:
    """Open connections, as many at once as may be; return the most descriptors of a process."""
    most = 0

    async def watch() -> None:
        nonlocal most
        while True:
            most = max(most, descriptors(pid))
            await asyncio.sleep(0.01)

    with as_many_descriptors_as_allowed() as at_once:
        async with asyncio.TaskGroup() as tasks:
            watching = tasks.create_task(watch())
            for begin in range(0, count, at_once):
                await peers.connect(min(at_once, count - begin))
                peers.speak_slowly()
                if begin + at_once < count:
                    peers.leave()
            watching.cancel()
    return most


@pytest.mark.timeout(180)
async def test_ten_thousand_peers_cost_no_event(stage: OutboundStage, tmp_path: Path) -> None:
    calls = stage.calls
    stage.link.stop()
    async with AsyncExitStack() as stack:
        running = await stack.enter_async_context(ingest(stage, tmp_path / "log"))
        await running.logged("bus.connected")
        pid = running.pid
        limit_descriptors(pid, LIMIT)
        before, memory = descriptors(pid), resident_bytes(pid)
        peers = stack.enter_context(HostilePeers(listener_port(stage)))
        strangers = stack.enter_context(HostilePeers(await admin_port(running)))
        async with asyncio.TaskGroup() as tasks:
            connecting = tasks.create_task(connect_in_waves(peers, PEERS, pid))
            await until(lambda: peers.made > PEERS / 20)
            stage.link.start()
            channels = await calls.place(10)
            async with calls.marking(channels):
                most = await connecting
                await calls.until_more(100)
        async with watched(running, calls.dialog_of(channels[0])) as ladder:
            async with calls.marking(channels):
                most_of_both = await connect_in_waves(strangers, STRANGERS, pid)
                status, _ = await running.admin("/livez")
                await calls.until_more(100)
            await calls.until_all_came(channels)
            await calls.hang_up(channels[0])
            assert b'"end"' in (await ladder.content.read())[-1000:]
        at_listener = await refused(running, "ariproxy_ari_listener_refused_total")
        at_admin = await refused(running, "ariproxy_admin_refused_total")
        peers.leave()
        strangers.leave()
        await until(lambda: descriptors(pid) <= before + 2)  # Asterisk's, and the last request's.
        grown = resident_bytes(pid) - memory
    print(f"hostile peers: {at_listener}, {at_admin}, grown by {grown / 2**20:.0f} MiB")

    account = calls.account()
    assert account.faults == {}
    assert (account.received, account.lost_in_gaps) == (account.sent, 0)
    assert status == 200
    assert not running.events("websocket.disconnected")
    assert (peers.made, strangers.made) == (PEERS, STRANGERS)
    assert most <= before + MAX_OPENING + CLOSING
    assert most_of_both <= before + MAX_OPENING + MAX_CONNECTIONS + CLOSING
    assert grown < MORE_BYTES
    assert at_listener.keys() == {"handshake", "credentials"}
    # Asterisk may have been one of too many, too.
    of_all = PEERS + stage.link.connections
    assert PEERS - MAX_OPENING <= sum(at_listener.values()) <= of_all
    assert at_admin.keys() == {"malformed", "too_many"}
    assert at_admin["too_many"] > STRANGERS / 10
    assert len(running.log.splitlines()) < PEERS / 20


@asynccontextmanager
async def watched(running: Process, dialog: str) -> AsyncIterator[aiohttp.ClientResponse]:
    """Open the ladder of a dialog around a block."""
    url = f"http://127.0.0.1:{await admin_port(running)}/console/copies?dialog={dialog}"
    async with aiohttp.ClientSession() as session, session.get(url) as answer:
        assert answer.status == 200
        yield answer


async def test_process_without_descriptors_says_so_once_and_goes_on(
    stage: OutboundStage, tmp_path: Path
) -> None:
    calls = stage.calls
    async with ingest(stage, tmp_path / "log") as running:
        channels = await calls.place(5)
        usual = descriptors(running.pid)
        limit_descriptors(running.pid, usual + 4)
        everybody = [HostilePeers(listener_port(stage)), HostilePeers(await admin_port(running))]
        async with calls.marking(channels):
            for peers in everybody:
                await peers.connect(100)
            for name in ("ari_listener.not_accepted", "admin.not_accepted"):
                await running.logged(name)
            await calls.until_more(100)
            for peers in everybody:
                peers.leave()
            # Asterisk has to connect anew.
            stage.link.stop()
            stage.link.start()
            await until(lambda: len(running.events("dialogs.reconciled")) == 2)
            await calls.until_more(100)
        await calls.until_all_came(channels)
        counted = [
            await refused(running, f"ariproxy_{name}_refused_total")
            for name in ("ari_listener", "admin")
        ]
        await until(lambda: descriptors(running.pid) <= usual + 1)

    account = calls.account()
    assert account.faults == {}
    assert account.received + account.lost_in_gaps == account.sent
    assert all(reasons["not_accepted"] > 0 for reasons in counted)
    for name in ("ari_listener.not_accepted", "admin.not_accepted"):
        (line,) = running.events(name)
        assert line["level"] == "error"
        assert "Too many open files" in line["error"]
