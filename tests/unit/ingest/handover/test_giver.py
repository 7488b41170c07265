"""The old ingest's side of a hand-over, finished or not."""

import asyncio
from collections.abc import AsyncIterator

import msgspec
import pytest
import structlog

from ari_proxy.bus.base import opened
from ari_proxy.bus.memory.bus import MemoryBroker, MemoryBus
from ari_proxy.ingest.events.replaced import ReplacedApplications
from ari_proxy.ingest.handover.giver import (
    SILENCE_SECONDS,
    Collected,
    HandoverFailedError,
    HandoverGiver,
    HandoverRefusedError,
)
from ari_proxy.ingest.handover.messages import GOES_ON, HandoverRequest, HeldRecord, SnapshotPage
from tests.support.running import until

TOPIC = "handover_server-1"
UNTIL = 1_780_000_000.0


class Former:
    """An ingest that has two pages to hand over."""

    def __init__(self, broker: MemoryBroker, bus: MemoryBus, tasks: asyncio.TaskGroup) -> None:
        self.broker = broker
        self.bus = bus
        self.now = 0.0
        self.gap_since: float | None = None
        self.refusals = 0
        self.failure: Exception | None = None
        self.collected = 0
        self.replaced = ReplacedApplications(["demo"], asked_seconds=0.05)
        self.giver = HandoverGiver(bus, self.collect, tasks, self.replaced, clock=lambda: self.now)

    async def collect(self) -> Collected:
        self.collected += 1
        if self.refusals:
            self.refusals -= 1
            raise HandoverRefusedError("not yet")
        if self.failure is not None:
            raise self.failure
        first = SnapshotPage("", (HeldRecord("first"),), is_last=False, gap_since=self.gap_since)
        last = SnapshotPage("", (HeldRecord("last"),), is_last=True, gap_since=self.gap_since)
        return Collected([first, last], UNTIL)

    async def ask(self, by: str, page: int) -> SnapshotPage:
        request = msgspec.json.encode(HandoverRequest(by, page))
        answer = await self.bus.request(TOPIC, request, timeout_seconds=5)
        return msgspec.json.decode(answer, type=SnapshotPage)

    async def tell_that_it_goes_on(self, by: str) -> None:
        self.bus.publish(TOPIC, msgspec.json.encode(HandoverRequest(by, GOES_ON)))
        await self.bus.flush(timeout_seconds=5)
        # What comes behind it is answered behind it.
        await self.bus.request(TOPIC, b"{}", timeout_seconds=5)

    async def lose_bus(self) -> None:
        self.broker.stop()
        while self.bus.is_connected:
            await asyncio.sleep(0)
        self.broker.start()
        await self.bus.wait_connected()

    def pass_silence(self) -> None:
        self.now += SILENCE_SECONDS + 0.001


@pytest.fixture
async def former() -> AsyncIterator[Former]:
    broker = MemoryBroker()
    async with opened(MemoryBus(broker)) as bus, asyncio.TaskGroup() as tasks:
        assert isinstance(bus, MemoryBus)
        former = Former(broker, bus, tasks)
        subscription = await bus.subscribe(TOPIC, former.giver.on_request)
        yield former
        await subscription.unsubscribe()


def texts(page: SnapshotPage) -> list[object]:
    return [getattr(record, "payload", record) for record in page.records]


async def test_all_pages_go_to_who_has_asked_first(former: Former) -> None:
    first = await former.ask("s", 0)
    other = await former.ask("t", 0)
    assert not former.giver.is_done
    last = await former.ask("s", 1)

    assert (texts(first), first.is_last, first.gap_since) == (["first"], False, None)
    assert (texts(last), last.is_last, last.gap_since) == (["last"], True, None)
    assert (texts(other), other.is_busy) == ([], True)
    assert "already" in other.error
    assert former.giver.is_done
    assert former.collected == 1


async def test_pages_of_a_dead_taker_go_to_the_next_one_that_is_told_of_the_gap(
    former: Former,
) -> None:
    await former.ask("s", 0)
    former.now += SILENCE_SECONDS
    assert (await former.ask("t", 0)).is_busy
    former.now += 0.001
    pages = [await former.ask("t", 0), await former.ask("t", 1)]

    assert [texts(page) for page in pages] == [["first"], ["last"]]
    assert [page.gap_since for page in pages] == [UNTIL, UNTIL]
    assert former.giver.is_done
    assert former.collected == 1


async def test_gap_that_was_there_before_the_taker_died_stays(former: Former) -> None:
    former.gap_since = 0.0
    await former.ask("s", 0)
    former.pass_silence()

    assert (await former.ask("t", 0)).gap_since == 0.0


async def test_dead_taker_that_lives_again_is_served_until_another_one_asks(
    former: Former,
) -> None:
    await former.ask("s", 0)
    former.pass_silence()
    assert (await former.ask("s", 0)).gap_since is None
    former.pass_silence()
    await former.ask("t", 0)

    assert (await former.ask("s", 1)).is_busy


async def test_taker_that_goes_on_without_the_dialogs_leaves_nothing_for_anybody(
    former: Former,
) -> None:
    await former.ask("s", 0)
    await former.tell_that_it_goes_on("s")
    await asyncio.wait_for(former.giver.wait_done(), 5)


async def test_who_goes_on_without_asking_ends_nobody(former: Former) -> None:
    former.refusals = 1
    await former.tell_that_it_goes_on("s")
    assert former.collected == 0
    assert (await former.ask("s", 0)).error == "not yet"
    await former.tell_that_it_goes_on("s")

    assert not former.giver.is_done
    assert texts(await former.ask("t", 0)) == ["first"]


async def test_pages_are_kept_for_nobody_when_the_taker_may_have_gone_on_unheard(
    former: Former,
) -> None:
    await former.ask("s", 0)
    await former.lose_bus()
    former.pass_silence()

    assert (await former.ask("t", 0)).is_busy
    await asyncio.wait_for(former.giver.wait_done(), 5)


async def test_dialogs_whose_last_events_are_lost_go_to_nobody(former: Former) -> None:
    former.failure = HandoverFailedError("the bus is away")
    assert (await former.ask("s", 0)).error == "the bus is away"
    assert former.giver.is_done

    assert "gone" in (await former.ask("t", 0)).error
    assert former.collected == 1


async def test_applications_are_expected_to_be_replaced_once_a_successor_has_asked(
    former: Former,
) -> None:
    with structlog.testing.capture_logs() as logs:
        former.replaced.note("demo")
        await former.ask("s", 0)
        await until(lambda: logs and logs[-1]["event"].startswith("application."))

    assert logs[-1] == {
        "event": "application.handed_over",
        "log_level": "info",
        "application": "demo",
    }


async def test_page_that_is_not_there_costs_nothing(former: Former) -> None:
    await former.ask("s", 0)
    assert "no such page" in (await former.ask("s", 7)).error

    assert not former.giver.is_done
    assert texts(await former.ask("s", 1)) == ["last"]
    assert former.collected == 1
