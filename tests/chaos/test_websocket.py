"""Asterisk's websocket is lost, or Asterisk itself; real Asterisk, both buses."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import pytest

from tests.chaos.conftest import Stage
from tests.support.calls import body_of
from tests.support.link import Link
from tests.support.running import running_proxy, until, until_serving
from tests.support.servers import Asterisk


@asynccontextmanager
async def serving(stage: Stage) -> AsyncIterator[None]:
    async with running_proxy(stage.settings):
        await until_serving(stage.bus)
        await stage.calls.until_registered()
        yield


async def until_told(stage: Stage, channels: list[str], event_type: str) -> None:
    client, dialog_of = stage.client, stage.calls.dialog_of
    await until(lambda: all(event_type in client.types(dialog_of(c)) for c in channels))


@pytest.mark.parametrize("fault", ["cut", "half-open"])
async def test_lost_websocket_costs_what_its_gap_announces_and_nothing_else(
    stage: Stage, websocket_link: Link, fault: str
) -> None:
    calls = stage.calls
    async with serving(stage):
        channels = await calls.place(20)
        ending, staying = channels[:5], channels[5:]
        async with calls.marking(staying):
            await until(lambda: calls.account().received > 100)
            if fault == "cut":
                websocket_link.stop()
            else:
                websocket_link.freeze()
            for channel in ending:
                await calls.hang_up(channel)
            if fault == "cut":
                websocket_link.start()
            else:
                # The dead connection is ended; what it holds back must not come late.
                await until(lambda: websocket_link.connections > 1)
                websocket_link.thaw()
            await until_told(stage, staying, "ProxyGap")
            await until_told(stage, ending, "ProxyDialogEnded")
        await calls.mark_all(staying)
        await calls.until_all_came(staying)

    account = calls.account(staying)
    assert account.faults == {}
    assert account.received + account.lost_in_gaps == account.sent
    assert len(stage.client.starts) == 20
    gap = body_of(next(e for e in _events(stage, staying[0]) if e["type"] == "ProxyGap"))
    assert gap["from"] < gap["to"]
    assert (gap["count"], gap["reason"]) == (None, "websocket_lost")


def _events(stage: Stage, channel: str) -> list[dict[str, object]]:
    return stage.client.events[stage.calls.dialog_of(channel)]


async def test_restart_of_asterisk_ends_its_dialogs_and_the_next_call_is_served(
    stage: Stage, own_asterisk: Asterisk
) -> None:
    calls = stage.calls
    async with serving(stage):
        channels = await calls.place(5)
        own_asterisk.stop()
        # Within one second the new one would give the same ids to its channels.
        await asyncio.sleep(1)
        own_asterisk.start()
        await until_told(stage, channels, "ProxyDialogEnded")
        (later,) = await calls.place(1)
        await calls.mark(later)
        await calls.until_all_came([later])

    ended = [body_of(_events(stage, channel)[-1]) for channel in channels]
    assert [(e["type"], e["reason"], e["channels"]) for e in ended] == [
        ("ProxyDialogEnded", "asterisk_restarted", [channel]) for channel in channels
    ]
