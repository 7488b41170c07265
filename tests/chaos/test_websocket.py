"""Asterisk's websocket is lost, or Asterisk itself; real Asterisk, both buses."""

import asyncio
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from functools import partial
from pathlib import Path
from typing import Any

import pytest

from ari_proxy.ari.rest import RestClient
from ari_proxy.backoff import Backoff
from ari_proxy.connections import factories
from ari_proxy.settings.command import CommandSettings
from tests.chaos.conftest import Stage, both_connections
from tests.support import process
from tests.support.calls import asterisk_client, body_of
from tests.support.link import Link
from tests.support.running import running_proxy, until, until_serving
from tests.support.servers import Asterisk


@asynccontextmanager
async def serving(stage: Stage, **parts: Any) -> AsyncIterator[None]:
    """Serve the calls, with ingest's as the only websocket on the link."""
    settings = stage.settings
    if settings.ari.connection == "inbound":
        by_http = CommandSettings(transport="http")
        settings = settings.model_copy(update={"command": by_http})
    async with running_proxy(settings, **parts):
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
            await calls.until_more(100)
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
        await calls.mark_once_more(staying)

    account = calls.account(staying)
    assert account.faults == {}
    assert account.received + account.lost_in_gaps == account.sent
    assert len(stage.client.starts) == 20
    gap = body_of(next(e for e in _events(stage, staying[0]) if e["type"] == "ProxyGap"))
    assert gap["from"] < gap["to"]
    assert (gap["count"], gap["reason"]) == (None, "websocket_lost")


async def test_websocket_that_asterisk_leaves_silent_is_replaced(
    stage: Stage, websocket_link: Link
) -> None:
    """In a third of cases the old connection's end takes the application from the new one."""
    soon = Backoff(first_seconds=0.1, last_seconds=0.1)
    calls = stage.calls
    async with serving(stage, event_socket=partial(factories.event_socket, backoff=soon)):
        channels = await calls.place(3)
        async with calls.marking(channels, pause_seconds=0.01):
            for number in range(1, 21):
                websocket_link.overlap()
                await until(lambda n=number: _gaps(stage, channels[0]) >= n)  # type: ignore[misc]
                await calls.until_more(1)
        await calls.mark_once_more(channels)
    account = calls.account()
    assert account.faults == {}
    assert account.received + account.lost_in_gaps == account.sent


def _gaps(stage: Stage, channel: str) -> int:
    return len([event for event in _events(stage, channel) if event["type"] == "ProxyGap"])


def _events(stage: Stage, channel: str) -> list[dict[str, object]]:
    return stage.client.events[stage.calls.dialog_of(channel)]


@both_connections
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
        await calls.mark_once_more([later])

    ended = [body_of(_events(stage, channel)[-1]) for channel in channels]
    assert [(e["type"], e["reason"], e["channels"]) for e in ended] == [
        ("ProxyDialogEnded", "asterisk_restarted", [channel]) for channel in channels
    ]


async def send_more_than_sockets_hold(rest: RestClient, channel: str) -> None:
    """Have Asterisk send 16 MB of events: an event holds what its variable holds."""
    body = json.dumps({"variable": "LARGE", "value": "x" * 16_000})
    for _ in range(1000):
        answer = await rest.request("POST", f"/channels/{channel}/variable", body)
        assert answer.status == 204


async def test_reader_that_blocked_is_dropped_by_asterisk_and_recovers(
    stage: Stage, own_asterisk: Asterisk, tmp_path: Path
) -> None:
    calls = stage.calls
    straight = stage.environment | {"ARI_PROXY_ARI__WEBSOCKET_URL": own_asterisk.websocket_url}
    async with (
        asterisk_client(own_asterisk) as rest,
        process.running(tmp_path / "log", "ingest", **straight) as ingest,
    ):
        await ingest.logged("dialogs.reconciled")
        channels = await calls.place(5)
        await calls.mark_once_more(channels)
        ingest.freeze()
        # ari.conf's websocket_write_timeout is 100 ms: it ends a websocket that nobody reads.
        await send_more_than_sockets_hold(rest, channels[0])
        await calls.mark_all(channels)
        ingest.thaw()
        await until_told(stage, channels, "ProxyGap")
        await calls.mark_once_more(channels)

    account = calls.account()
    assert account.faults == {}
    assert account.received + account.lost_in_gaps == account.sent
    assert len(stage.client.starts) == 5


@both_connections
async def test_asterisk_that_is_told_to_end_ends_its_dialogs_in_order(
    stage: Stage, own_asterisk: Asterisk
) -> None:
    calls = stage.calls
    async with serving(stage):
        channels = await calls.place(5)
        await calls.mark_once_more(channels)
        own_asterisk.terminate()
        own_asterisk.start()
        await until(
            lambda: all(
                {"StasisEnd", "ChannelDestroyed", "ProxyDialogEnded"}
                & set(stage.client.types(calls.dialog_of(channel)))
                for channel in channels
            )
        )
        await calls.until_registered()
        (later,) = await calls.place(1)
        await calls.mark_once_more([later])

    assert calls.account().faults == {}
