"""Calls that are over, for the console: from recorders on a bus in memory."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import pytest

from ari_proxy.admin.console.kept_calls import HOLDS_SECONDS, KeptCalls, KeptCallsError
from ari_proxy.bus.base import Bus, opened
from ari_proxy.bus.memory.bus import MemoryBroker, MemoryBus
from ari_proxy.protocol import topics
from ari_proxy.protocol.ids import ServerId
from ari_proxy.tap.masking import Masking
from ari_proxy.tap.recorder import Recorder
from ari_proxy.tap.tap import Tap
from tests.support.tap_records import CALL, DIALOG

SERVER = ServerId("s")


@asynccontextmanager
async def recorded() -> AsyncIterator[tuple[Bus, Tap]]:
    recorder = Recorder(SERVER, "here", max_calls=10, max_bytes=10**6, masking=Masking())
    async with opened(MemoryBus(MemoryBroker())) as bus:
        tap = Tap(SERVER, bus, recorder=recorder)
        await tap.listen()
        for record in CALL:
            tap.copy(record.kind, record.dialog_id, bytes(record.message))
        yield bus, tap


async def test_ended_calls_are_found_by_what_they_have() -> None:
    async with recorded() as (bus, tap):
        tap.copy("event", "s.open", bytes(CALL[1].message))
        kept = KeptCalls(SERVER)
        found = await kept.ended(bus, "demo", 10)
        none = await kept.ended(bus, "nothing", 10)

    assert [call["dialog_id"] for call in found.calls] == [DIALOG]
    assert (found.found, found.total, none.found, none.total) == (1, 1, 0, 1)


async def test_list_holds_for_a_moment() -> None:
    now = 0.0
    async with recorded() as (bus, tap):
        kept = KeptCalls(SERVER, clock=lambda: now)
        await kept.ended(bus, "", 10)
        tap.copy("end", "s.other")
        assert (await kept.ended(bus, "", 10)).total == 1
        now = HOLDS_SECONDS
        assert (await kept.ended(bus, "", 10)).total == 2


async def test_ladder_that_was_kept_says_why_it_ended() -> None:
    async with recorded() as (bus, _):
        drawn = await KeptCalls(SERVER).ladder(bus, DIALOG)
        none = await KeptCalls(SERVER).ladder(bus, "s.unknown")

    assert [step["kind"] for step in drawn["steps"]] == [record.kind for record in CALL]
    assert drawn["why"].startswith("demo was gone")
    assert none == {"steps": [], "why": ""}


async def test_nobody_answers() -> None:
    async with opened(MemoryBus(MemoryBroker())) as bus:
        with pytest.raises(KeptCallsError, match="neither an ingest nor a command of s"):
            await KeptCalls(SERVER).ended(bus, "", 10)
        await bus.subscribe(topics.tap_requests(SERVER), lambda _: None)
        with pytest.raises(KeptCallsError, match=r"no answer within 0.05 s"):
            await KeptCalls(SERVER, answer_seconds=0.05).ended(bus, "", 10)


async def test_who_is_cancelled_leaves_the_next_one_its_turn() -> None:
    async with recorded() as (bus, _):
        kept = KeptCalls(SERVER)
        first = asyncio.create_task(kept.ended(bus, "", 10))
        await asyncio.sleep(0)
        first.cancel()
        with pytest.raises(asyncio.CancelledError):
            await first
        assert (await kept.ended(bus, "", 10)).total == 1
