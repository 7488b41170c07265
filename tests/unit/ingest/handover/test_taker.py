"""The new ingest's side of a hand-over: what it gets, and when it goes on without it."""

import asyncio
from collections.abc import AsyncIterator, Callable

import msgspec
import pytest

from ari_proxy.bus.base import Message, opened
from ari_proxy.bus.memory.bus import MemoryBroker, MemoryBus
from ari_proxy.ingest.handover.messages import GOES_ON, HandoverRequest, HeldRecord, SnapshotPage
from ari_proxy.ingest.handover.taker import HandoverSnapshot, HandoverTaker
from ari_proxy.protocol.ids import ServerId
from tests.support.malformed import DEEPLY_NESTED

TOPIC = "handover_server-1"


class Newcomer:
    """An ingest that takes over, and a giver that answers as a test wants."""

    def __init__(self, bus: MemoryBus) -> None:
        self.bus = bus
        self.requests: list[int] = []
        self.taker = HandoverTaker(bus, ServerId("server-1"))

    async def answer(self, page_of: Callable[[int], bytes]) -> None:
        """Answer requests with the bytes of each page."""

        def on_request(message: Message) -> None:
            number = msgspec.json.decode(message.payload, type=HandoverRequest).page
            self.requests.append(number)
            if message.reply:
                self.bus.publish(message.reply, page_of(number))

        await self.bus.subscribe(TOPIC, on_request)

    async def take(self) -> HandoverSnapshot | None:
        snapshot = await asyncio.wait_for(self.taker.take(), 10)
        await self.bus.flush(timeout_seconds=5)
        return snapshot


@pytest.fixture
async def newcomer() -> AsyncIterator[Newcomer]:
    async with opened(MemoryBus(MemoryBroker())) as bus:
        assert isinstance(bus, MemoryBus)
        yield Newcomer(bus)


async def test_pages_are_joined_in_their_order(newcomer: Newcomer) -> None:
    pages = [
        SnapshotPage("", (HeldRecord("first"),), is_last=False, gap_since=7.0),
        SnapshotPage("", (HeldRecord("last"),), is_last=True, gap_since=7.0),
    ]
    await newcomer.answer(lambda number: msgspec.json.encode(pages[number]))

    snapshot = await newcomer.take()

    assert snapshot is not None
    assert (snapshot.records, snapshot.gap_since) == (
        [HeldRecord("first"), HeldRecord("last")],
        7.0,
    )
    assert newcomer.requests == [0, 1]


async def test_without_an_active_ingest_there_is_nothing_to_take(newcomer: Newcomer) -> None:
    assert await newcomer.take() is None


@pytest.mark.parametrize(
    "answer",
    [
        pytest.param(DEEPLY_NESTED, id="nested too deeply"),
        pytest.param(b"no JSON", id="no JSON"),
        pytest.param(b'{"error": "\xff"}', id="no UTF-8"),
        pytest.param(msgspec.json.encode(SnapshotPage(error="not now")), id="a refusal"),
    ],
)
async def test_ingest_that_gets_no_pages_goes_on_and_says_so(
    newcomer: Newcomer, answer: bytes
) -> None:
    await newcomer.answer(lambda _: answer)

    assert await newcomer.take() is None
    assert newcomer.requests == [0, GOES_ON]


async def test_giver_that_is_busy_is_asked_again_until_it_is_not(newcomer: Newcomer) -> None:
    busy = SnapshotPage(error="another ingest is taking over already", is_busy=True)
    pages = [msgspec.json.encode(page) for page in (busy, busy, SnapshotPage())]
    await newcomer.answer(lambda _: pages.pop(0))

    snapshot = await newcomer.take()

    assert snapshot is not None
    assert newcomer.requests == [0, 0, 0]
