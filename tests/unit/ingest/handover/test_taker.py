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

    def __init__(self, bus: MemoryBus, tasks: asyncio.TaskGroup) -> None:
        self.bus = bus
        self.loaded: list[HandoverSnapshot | None] = []
        self.requests: list[int] = []
        self.forwarded: list[Message] = []
        self.take_over = HandoverTaker(
            bus,
            ServerId("server-1"),
            tasks,
            load=self.loaded.append,
            on_request=self.forwarded.append,
        )

    async def answer(self, page_of: Callable[[int], bytes]) -> None:
        """Be the giver, with the bytes of each page."""

        def on_request(message: Message) -> None:
            number = msgspec.json.decode(message.payload, type=HandoverRequest).page
            self.requests.append(number)
            if message.reply:
                self.bus.publish(message.reply, page_of(number))

        await self.bus.subscribe(TOPIC, on_request)

    async def take(self) -> HandoverSnapshot | None:
        self.take_over.begin()
        await asyncio.wait_for(self.take_over.wait(), 10)
        await self.bus.flush(timeout_seconds=5)
        (taken,) = self.loaded
        return taken


@pytest.fixture
async def newcomer() -> AsyncIterator[Newcomer]:
    async with opened(MemoryBus(MemoryBroker())) as bus, asyncio.TaskGroup() as tasks:
        assert isinstance(bus, MemoryBus)
        newcomer = Newcomer(bus, tasks)
        yield newcomer
        await newcomer.take_over.end()


async def test_pages_are_joined_in_their_order(newcomer: Newcomer) -> None:
    pages = [
        SnapshotPage("", (HeldRecord("first"),), is_last=False, gap_since=7.0),
        SnapshotPage("", (HeldRecord("last"),), is_last=True, gap_since=7.0),
    ]
    await newcomer.answer(lambda number: msgspec.json.encode(pages[number]))

    taken = await newcomer.take()

    assert taken is not None
    assert (taken.records, taken.gap_since) == ([HeldRecord("first"), HeldRecord("last")], 7.0)
    assert newcomer.requests == [0, 1]


async def test_without_an_active_ingest_there_is_nothing_to_take(newcomer: Newcomer) -> None:
    assert await newcomer.take() is None
    assert newcomer.take_over.is_loaded


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
    assert newcomer.take_over.is_loaded


async def test_requests_of_the_next_ingest_are_answered_once_the_dialogs_are_there(
    newcomer: Newcomer,
) -> None:
    await newcomer.take()
    newcomer.bus.publish(TOPIC, b"{}")
    await newcomer.bus.flush(timeout_seconds=5)

    assert [message.payload for message in newcomer.forwarded] == [b"{}"]
