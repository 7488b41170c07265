"""NATS in zones: the proxy beside its Asterisk, applications in another zone; the link is cut.

`site` is a leaf node of the cluster `east`, which a gateway joins with the cluster `west`. The
proxy keeps its connection to its own server all the while: it never sees a link go.
"""

import asyncio
import os
from collections.abc import AsyncIterator
from functools import partial
from pathlib import Path

import pytest

from tests.support.calls import Calls
from tests.support.running import until
from tests.support.zones import LinkName, Zones, ZoneServer, site_stage

IS_LONG = bool(os.environ.get("LONG"))
both_links = pytest.mark.parametrize("link", ["leaf", "gateway"])


@pytest.fixture
async def zones(tmp_path: Path) -> AsyncIterator[Zones]:
    found = Zones(tmp_path)
    found.start()
    try:
        await found.until_joined()
        yield found
    finally:
        found.remove()


def ends(zones: Zones, link: LinkName) -> tuple[ZoneServer, ZoneServer]:
    """The zone of the proxy, and the other one that a link leads to."""
    return (zones.site, zones.east) if link == "leaf" else (zones.east, zones.west)


def missed(calls: Calls, channel: str, since: int) -> list[int]:
    """Return the numbered events after a certain one that an application has not had."""
    return [n for n in calls.sent[channel] if n > since and n not in calls.marks(channel)]


@pytest.mark.timeout(120)
@both_links
@pytest.mark.parametrize("seconds", [2, 30] if IS_LONG else [2])
async def test_what_is_lost_while_a_link_is_cut_is_told_when_it_is_mended(
    zones: Zones, link: LinkName, seconds: float
) -> None:
    here, there = ends(zones, link)
    async with site_stage(here, "zones") as site, site.application_in(there) as (bus, calls):
        client = calls.client
        channels = await calls.place(5, "s")
        async with calls.marking(channels, pause_seconds=0.02):
            await calls.until_more(50)
            zones.cut(link)
            await until(partial(site.is_parted_from, bus))
            sent_before = {channel: marks[-1] for channel, marks in calls.sent.items()}
            await asyncio.sleep(seconds)
        leaving, *others = channels
        await calls.hang_up(leaving)
        entering = await calls.originate("s")
        await zones.mend(link)
        await until(partial(site.is_joined_with, bus))
        # The call that began meanwhile is served; the one that ended meanwhile may have no end.
        await until(lambda: calls.dialog_of(entering))
        for channel in others:
            await until(partial(calls.unheard, channel))
        await calls.mark_once_more(others)
        url = "/channels/{}/ring"
        served = await client.command(calls.dialog_of(entering), "POST", url.format(entering))
        gone = await client.command(calls.dialog_of(leaving), "POST", url.format(leaving))

    for channel in others:
        lost = len(missed(calls, channel, sent_before[channel]))
        assert 0 < lost <= calls.unheard(channel)
    account = calls.account(others)
    assert (account.doubled, account.disordered, account.stale) == ([], [], [])
    assert len(client.starts) == 6
    assert (served["status_code"], gone["status_code"]) == (204, 404)


@pytest.mark.timeout(300)
@pytest.mark.parametrize(
    ("seconds", "ingest"),
    [(0, {"silence_seconds": 1, "listener_seconds": 1}), *([(180, {})] if IS_LONG else [])],
)
async def test_calls_go_on_in_the_dialplan_when_a_link_is_cut_for_longer(
    zones: Zones, seconds: float, ingest: dict[str, float]
) -> None:
    async with (
        site_stage(zones.site, "zones", **ingest) as site,
        site.application_in(zones.east) as (bus, calls),
    ):
        (up,) = await calls.place(1, "s")
        zones.cut("leaf")
        new = await calls.originate("s")
        await asyncio.sleep(seconds)
        for channel in (up, new):
            await until(partial(site.is_in_dialplan, channel))
            assert await site.status_of(channel) == "NO_APPLICATION"
        await zones.mend("leaf")
        await until(partial(site.is_joined_with, bus))
        (later,) = await calls.place(1, "s")
        await calls.mark_once_more([later])

    assert [start["channel_id"] for start in calls.client.starts] == [up, later]


@both_links
async def test_call_that_is_served_in_its_own_zone_crosses_no_link(
    zones: Zones, link: LinkName
) -> None:
    here, there = ends(zones, link)
    async with site_stage(here, "zones") as site, site.application_in(there) as (_, far):
        async with site.application_in(here) as (_, near):
            before = zones.crossed(link)
            await serve(near, 10)
            assert (len(near.client.starts), len(far.client.starts)) == (10, 0)
            assert zones.crossed(link) == before
        await serve(far, 10)
        received = sum(map(len, far.client.events.values())) + len(far.client.starts)
        assert zones.crossed(link) - before >= received + 2 * 10


async def test_cut_gateway_behind_its_hub_is_not_told_to_a_site(zones: Zones) -> None:
    """The hub keeps the other cluster's subscriptions at its leaf nodes: nats-server 2.15."""
    async with (
        site_stage(zones.site, "zones") as site,
        site.application_in(zones.west) as (bus, calls),
    ):
        (channel,) = await calls.place(1, "s")
        await calls.mark_once_more([channel])
        zones.cut("gateway")
        before = zones.crossed("leaf")
        for _ in range(3):
            await calls.mark(channel)
        await until(lambda: zones.crossed("leaf") >= before + 3)
        await zones.mend("gateway")
        await until(partial(site.is_joined_with, bus))
        await calls.mark_once_more([channel])

    events = calls.client.events[calls.dialog_of(channel)]
    assert calls.marks(channel) == [calls.sent[channel][0], calls.sent[channel][-1]]
    assert events[-1]["sequence"] - events[-2]["sequence"] == 4


async def serve(calls: Calls, count: int) -> None:
    """Have calls served, with an event and a command each."""
    channels = await calls.place(count, "s")
    await calls.mark_once_more(channels)
    for channel in channels:
        url = f"/channels/{channel}/ring"
        answer = await calls.client.command(calls.dialog_of(channel), "POST", url)
        assert answer["status_code"] == 204
