"""Ingest is killed, handed over, robbed; real Asterisk, both buses, processes of their own."""

import asyncio
import json
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path

import pytest
import websockets
from structlog.testing import capture_logs

from ari_proxy.ingest.parts import Times
from tests.chaos.conftest import Stage
from tests.support import process
from tests.support.calls import Calls
from tests.support.process import Process
from tests.support.running import (
    LegacyClient,
    bus_client,
    running_proxy,
    until,
    until_done,
    until_serving,
)
from tests.support.servers import PASSWORD, Asterisk


@asynccontextmanager
async def ingest(stage: Stage, log: Path, **environment: str) -> AsyncIterator[Process]:
    """Run an ingest that has recovered what there was."""
    async with process.running(log, "ingest", **(stage.environment | environment)) as running:
        await until(
            lambda: running.events("dialogs.reconciled") or running.events("hand_over.taken")
        )
        yield running


@asynccontextmanager
async def command(stage: Stage, log: Path) -> AsyncIterator[Process]:
    async with process.running(log, "command", **stage.environment) as running:
        await until_serving(stage.bus, ingest=False)
        yield running


async def command_for_ever(stage: Stage, channels: list[str], statuses: list[int]) -> None:
    """Send commands of all dialogs in turn, each after the answer to the one before it."""
    while True:
        for channel in channels:
            dialog = stage.calls.dialog_of(channel)
            answer = await stage.client.command(dialog, "POST", f"/channels/{channel}/ring")
            statuses.append(answer["status_code"])


def states(calls: Calls, channels: list[str]) -> dict[str, int]:
    return {channel: len(calls.dialogs_of(channel)) for channel in channels}


@pytest.mark.timeout(180)
@pytest.mark.parametrize("own_asterisk", ["22", "16"], indirect=True)
async def test_killed_ingest_is_followed_by_one_that_finds_every_dialog(
    stage: Stage, tmp_path: Path
) -> None:
    calls = stage.calls
    statuses: list[int] = []
    async with command(stage, tmp_path / "command"), asyncio.TaskGroup() as tasks:
        async with ingest(stage, tmp_path / "first") as first:
            channels = await calls.place(200)
            leg = await _add_leg(stage, channels[0])
            commanding = tasks.create_task(command_for_ever(stage, channels, statuses))
            async with AsyncExitStack() as marking:
                await marking.enter_async_context(calls.marking(channels))
                await calls.until_more(300)
                first.kill()
                await first.ended()
                before = len(statuses)
                async with ingest(stage, tmp_path / "second") as second:
                    await until_done(lambda: _count_gaps(stage, channels), len(channels))
                    assert len(statuses) > before
                    await marking.aclose()
                    await calls.mark_once_more(channels)
                    # Its name tells nothing, and the client is not asked again.
                    await calls.hang_up(leg)
                    await until(lambda: _ended(stage, channels[0], leg))
                    adopted = second.events("dialogs.reconciled")[0]["adopted"]
        commanding.cancel()

    account = calls.account()
    assert account.faults == {}
    assert account.received + account.lost_in_gaps == account.sent
    assert set(states(calls, channels).values()) == {1}
    assert adopted == 200
    assert set(statuses) == {204}


def _count_gaps(stage: Stage, channels: list[str]) -> int:
    return sum(_has_gap(stage, channel) for channel in channels)


def _has_gap(stage: Stage, channel: str) -> bool:
    return "ProxyGap" in stage.client.types_of(stage.calls.dialog_of(channel))


def _ended(stage: Stage, channel: str, leg: str) -> bool:
    events = stage.client.events[stage.calls.dialog_of(channel)]
    return any(e["type"] == "StasisEnd" and f'"id":"{leg}"' in e["ari_body"] for e in events)


async def _add_leg(stage: Stage, channel: str) -> str:
    """The client calls somebody under a name of its own; returns that."""
    dialog = stage.calls.dialog_of(channel)
    url = f"/channels/named-{channel}?endpoint=Local/answer@default/n&app={stage.calls.application}"
    answer = await stage.client.command(dialog, "POST", url)
    assert answer["status_code"] == 200, answer
    await until(lambda: stage.client.types(dialog).count("StasisStart") == 2)
    return f"named-{channel}"


async def test_hand_over_loses_doubles_and_reorders_nothing(stage: Stage, tmp_path: Path) -> None:
    calls = stage.calls
    former = []
    async with AsyncExitStack() as running:
        active = await running.enter_async_context(ingest(stage, tmp_path / "0"))
        channels = await calls.place(40)
        async with calls.marking(channels, pause_seconds=0, workers=4, ahead=500):
            for number in range(1, 4):
                await calls.until_more(200)
                following = await running.enter_async_context(ingest(stage, tmp_path / f"{number}"))
                await active.logged("ingest.passive")
                former.append(active)
                active = following
            # Calls that begin on the last one, and end on it.
            channels += await calls.place(5)
        await calls.mark_once_more(channels)

        account = calls.account()
        assert account.faults == {}
        assert (account.received, account.lost_in_gaps) == (account.sent, 0)
        for channel in channels:
            events = stage.client.events[calls.dialog_of(channel)]
            assert [event["sequence"] for event in events] == list(range(1, len(events) + 1))
        assert set(states(calls, channels).values()) == {1}
        for handed_over in former:
            await handed_over.logged("application.handed_over")
            assert not handed_over.events("application.replaced")


async def test_dialog_that_waits_for_its_application_is_handed_over(
    stage: Stage, tmp_path: Path
) -> None:
    calls = stage.calls
    calls.application = "late"
    late = LegacyClient(stage.bus, "late")
    calls.client = late
    environment = {"ARI_PROXY_APPLICATIONS": '["late"]', "ARI_PROXY_INGEST__LISTENER_SECONDS": "60"}
    async with ingest(stage, tmp_path / "first", **environment) as first:
        channel = await calls.originate()
        calls.sent[channel] = []
        await first.logged("dialog.started")
        await calls.mark(channel)
        async with ingest(stage, tmp_path / "second", **environment):
            await first.logged("ingest.passive")
            await calls.mark(channel)
            await late.start()
            await until(lambda: calls.dialog_of(channel))
            await calls.until_all_came([channel])

    assert calls.account().faults == {}
    assert [event["sequence"] for event in late.events[calls.dialog_of(channel)]][:1] == [1]
    assert len(late.starts) == 1


async def test_stranger_that_takes_the_application_is_alarmed_of_and_not_fought(
    stage: Stage, own_asterisk: Asterisk, tmp_path: Path
) -> None:
    application = stage.calls.application
    async with ingest(stage, tmp_path / "log") as robbed:
        url = f"{own_asterisk.websocket_url}?app={application}&api_key=ari:{PASSWORD}"
        async with websockets.connect(url) as stranger:
            await robbed.logged("application.replaced")
            status, ready = await robbed.admin("/readyz")
            # The stranger keeps it: its own calls reach it.
            await stage.calls.originate()
            async with asyncio.timeout(10):
                while '"StasisStart"' not in str(await stranger.recv()):
                    pass
        _, metrics = await robbed.admin("/metrics")

    assert status == 503
    assert f"another client has taken {application}" in ready
    assert 'ariproxy_ingest_applications_replaced{server_id="server-1"} 1.0' in metrics
    assert len(robbed.events("websocket.connected")) == 1


async def test_application_that_was_taken_and_given_back_is_served_again(
    stage: Stage, own_asterisk: Asterisk, tmp_path: Path
) -> None:
    """And another one that its taker keeps is left to it."""
    application = stage.calls.application
    names = {"ARI_PROXY_APPLICATIONS": json.dumps([application, "kept"])}
    url = f"{own_asterisk.websocket_url}?api_key=ari:{PASSWORD}&app="
    async with (
        ingest(stage, tmp_path / "log", **names) as robbed,
        websockets.connect(f"{url}kept") as stranger,
    ):
        async with websockets.connect(f"{url}{application}"):
            await until(lambda: len(robbed.events("application.replaced")) == 2)
        assert (await robbed.logged("application.freed"))["applications"] == [application]
        await robbed.logged("application.restored")
        await until(lambda: len(robbed.events("dialogs.reconciled")) == 2)
        await stage.calls.place(1)
        status, ready = await robbed.admin("/readyz")
        await stranger.ping()

    assert (status, "another client has taken kept" in ready) == (503, True)
    assert len(robbed.events("application.replaced")) == 2


async def test_dialog_that_was_adopted_and_handed_over_at_once_is_not_announced_again(
    stage: Stage, tmp_path: Path
) -> None:
    # However long a busy machine takes until the third one is there.
    patient = Times(resume_seconds=60)
    calls, client = stage.calls, stage.client
    async with ingest(stage, tmp_path / "first") as first:
        async with bus_client(stage.settings) as bus:
            other = LegacyClient(bus, calls.application)
            await other.start()
            for _ in range(20):
                await calls.originate()
            await until(lambda: len(client.starts) + len(other.starts) == 20)
            await until(lambda: all(map(other.types_of, _dialogs(other))))
            dialogs = _dialogs(other)
        first.kill()
        await first.ended()
    client.starts.clear()
    # The other instance is away, and comes back when its dialogs are in third hands.
    with capture_logs() as logs:
        async with running_proxy(stage.settings, ["ingest"], times=patient):
            await until(lambda: _is_logged(logs, "dialogs.reconciled"))
            async with running_proxy(stage.settings, ["ingest"], times=patient):
                await until(lambda: _is_logged(logs, "ingest.passive"))
                for dialog in dialogs:
                    await client.listen(dialog)
                await until(lambda: all("ProxyGap" in client.types_of(d) for d in dialogs))

    assert dialogs
    assert client.starts == []
    assert {client.types(dialog)[0] for dialog in dialogs} == {"ProxyGap"}


def _is_logged(logs: Sequence[Mapping[str, object]], event: str) -> bool:
    return any(log["event"] == event for log in logs)


def _dialogs(client: LegacyClient) -> list[str]:
    return [start["dialog_id"] for start in client.starts]
