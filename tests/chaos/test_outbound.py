"""Asterisk connects to us: restarts, hand-overs, kills and cut links, counted by numbered events.

No request of ours goes by HTTP: the settings name a port where nobody listens.
"""

import asyncio
import itertools
import os
from collections.abc import AsyncIterator
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from pathlib import Path

import pytest
from websockets.asyncio.client import connect

from ari_proxy.ari.credentials import Credentials
from tests.support import process
from tests.support.calls import body_of
from tests.support.outbound_stage import OutboundStage, outbound_stage
from tests.support.process import Process
from tests.support.running import until, until_done
from tests.support.servers import PASSWORD, BusServer

_numbers = itertools.count()
#: After each event, where a peer vanishes: Asterisk 22.10.1 may crash then if it sends many.
CALM_SECONDS = 0.05
#: What gives the application back, once the other client is gone.
REMEDY = ("ari shutdown websocket session ari-proxy-events", "module reload res_ari.so")
RUNBOOK = Path(__file__).parents[2] / "docs/runbooks/AriProxyApplicationReplaced.md"


@pytest.fixture
async def stage(tmp_path: Path, bus_server: BusServer) -> AsyncIterator[OutboundStage]:
    async with outbound_stage(tmp_path, bus_server, f"outbound{next(_numbers)}") as found:
        yield found


def ingest(
    stage: OutboundStage, log: Path, **environment: str
) -> AbstractAsyncContextManager[Process]:
    return process.running(log, "ingest", **(stage.environment | environment))


@asynccontextmanager
async def active(stage: OutboundStage, log: Path, **environment: str) -> AsyncIterator[Process]:
    """Run an ingest that Asterisk has connected to."""
    async with ingest(stage, log, **environment) as running:
        await running.logged("dialogs.reconciled")
        yield running


def gaps(stage: OutboundStage, channel: str) -> list[str]:
    """Return the reasons of a call's ProxyGaps."""
    events = stage.client.events[stage.calls.dialog_of(channel)]
    return [body_of(event)["reason"] for event in events if event["type"] == "ProxyGap"]


async def test_restart_in_order_loses_nothing(stage: OutboundStage, tmp_path: Path) -> None:
    calls = stage.calls
    async with active(stage, tmp_path / "first") as first:
        over, *channels = await calls.place(10)
        async with calls.marking(channels, workers=4, ahead=500):
            await calls.until_more(200)
            first.signal()
            assert await first.ended() == 0
    # While nobody is there: a call that ends, calls that come, events of the others.
    await calls.mark(over)
    await calls.hang_up(over)
    waiting = [await calls.originate() for _ in range(3)]
    await calls.mark_all(channels)
    async with active(stage, tmp_path / "second") as second:
        await until_done(lambda: sum(map(bool, map(calls.dialog_of, waiting))), 3)
        await calls.mark_all(channels)
        await calls.until_all_came([over, *channels])
        await until(lambda: stage.client.ends.get(calls.dialog_of(over)))
        assert second.events("dialogs.reconciled")[0]["adopted"] == 10

    account = calls.account()
    assert account.faults == {}
    assert (account.received, account.lost_in_gaps) == (account.sent, 0)
    assert [gaps(stage, channel) for channel in [over, *channels, *waiting]] == [[]] * 13
    assert len(stage.client.starts) == 13
    assert "StasisEnd" in stage.client.types(calls.dialog_of(over))


async def test_hand_over_loses_doubles_and_reorders_nothing(
    stage: OutboundStage, tmp_path: Path
) -> None:
    calls = stage.calls
    lease = {"ARI_PROXY_LEASE__KIND": "file", "ARI_PROXY_LEASE__FILE": str(tmp_path / "lock")}
    async with active(stage, tmp_path / "first", **lease) as first:
        channels = await calls.place(20)
        # On one machine the successor gets the port when the first one ends.
        async with ingest(stage, tmp_path / "second", **lease) as second:
            await second.logged("lease.awaited")
            async with calls.marking(channels, pause_seconds=0, workers=4, ahead=500):
                await calls.until_more(300)
                first.signal()
                await second.logged("hand_over.taken")
                assert await first.ended() == 0
                await calls.until_more(300)
                channels += await calls.place(5)
            await calls.until_all_came(channels)

    account = calls.account()
    assert account.faults == {}
    assert (account.received, account.lost_in_gaps) == (account.sent, 0)
    for channel in channels:
        events = stage.client.events[calls.dialog_of(channel)]
        assert [event["sequence"] for event in events] == list(range(1, len(events) + 1))


async def test_kill_loses_only_what_was_on_its_way_and_says_so(
    stage: OutboundStage, tmp_path: Path
) -> None:
    calls = stage.calls
    async with active(stage, tmp_path / "first") as first:
        channels = await calls.place(20)
        async with calls.marking(channels, pause_seconds=CALM_SECONDS):
            await calls.until_more(100)
            first.kill()
            await first.ended()
            async with active(stage, tmp_path / "second"):
                await until_done(lambda: sum(bool(gaps(stage, c)) for c in channels), 20)
                await calls.until_more(100)
                waiting = await calls.place(2)
        async with active(stage, tmp_path / "third"):
            await calls.mark_once_more(channels)

    account = calls.account()
    assert account.faults == {}
    assert account.received + account.lost_in_gaps == account.sent
    assert gaps(stage, channels[0])[0] == "ingest_restarted"
    assert len(stage.client.starts) == len(channels) + len(waiting)


@pytest.mark.parametrize("fault", ["cut", "half_open"])
async def test_broken_link_loses_only_what_was_on_its_way_and_says_so(
    stage: OutboundStage, tmp_path: Path, fault: str
) -> None:
    calls, link = stage.calls, stage.link
    async with active(stage, tmp_path / "log") as running:
        channels = await calls.place(10)
        async with calls.marking(channels, pause_seconds=CALM_SECONDS):
            await calls.until_more(100)
            if fault == "cut":
                link.stop()
            else:
                link.freeze()
            await running.logged("websocket.disconnected")
            if fault == "half_open":
                link.stop()
                link.thaw()
            link.start()
            await until(lambda: len(running.events("dialogs.reconciled")) == 2)
            await calls.until_more(100)
        await calls.until_all_came(channels)
        assert running.events("websocket.disconnected")[0]["reason"] in {"lost", "ping_timeout"}

    account = calls.account()
    assert account.faults == {}
    assert account.received + account.lost_in_gaps == account.sent
    assert [gaps(stage, channel) for channel in channels] == [["websocket_lost"]] * 10
    assert len(stage.client.starts) == 10


async def test_all_events_of_a_long_absence_come_in_order(
    stage: OutboundStage, tmp_path: Path
) -> None:
    calls = stage.calls
    # A Python client on NATS would be cut off as a slow consumer.
    is_long = os.environ.get("LONG") and stage.settings.bus.kind == "RABBITMQ"
    away = 60_000 if is_long else 3_000
    async with active(stage, tmp_path / "first") as first:
        channels = await calls.place(20)
        first.signal()
        await first.ended()
    async with asyncio.TaskGroup() as tasks:
        for part in range(8):

            async def mark(own: list[str]) -> None:
                for channel in itertools.islice(itertools.cycle(own), away // 8):
                    await calls.mark(channel)

            tasks.create_task(mark(channels[part::8]))
    async with active(stage, tmp_path / "second"):
        await calls.until_all_came(channels)

    account = calls.account()
    assert account.sent == away
    assert account.faults == {}
    assert (account.received, account.lost_in_gaps) == (account.sent, 0)
    assert [gaps(stage, channel) for channel in channels] == [[]] * 20


async def test_stolen_application_is_reported_and_not_fought(
    stage: OutboundStage, tmp_path: Path
) -> None:
    assert all(f"`{command}`" in RUNBOOK.read_text() for command in REMEDY)
    application = stage.calls.application
    url = f"{stage.asterisk.websocket_url}?app={application}"
    headers = {"Authorization": Credentials("ari", PASSWORD).authorization}
    often = {"ARI_PROXY_INGEST__PROOF_SECONDS": "0.2"}
    async with active(stage, tmp_path / "first", **often) as first:
        async with connect(url, additional_headers=headers, compression=None, proxy=None):
            await first.logged("application.replaced")
            status, text = await first.admin("/readyz")
            assert status == 503
            assert f"another client has taken {application}" in text
        # It is lost for good: also for a new process, to which Asterisk does connect.
        first.signal()
        await first.ended()
    async with ingest(stage, tmp_path / "second", **often) as second:
        await second.logged("application.replaced")
        status, _ = await second.admin("/readyz")
        assert status == 503
        assert len(second.events("websocket.connected")) == 1
        # As the runbook says.
        for command in REMEDY:
            own = command.replace("ari-proxy-events", "events")  # The name of its section here.
            await asyncio.to_thread(stage.asterisk.console, own)
        await second.logged("application.restored")
        await stage.calls.place(1)
