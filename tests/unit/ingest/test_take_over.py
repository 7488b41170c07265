"""The take-over of a former ingest's dialogs, on a bus in memory."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Final

from ari_proxy.connections import factories
from ari_proxy.ingest.active_phase import ActiveState, ActiveTrigger
from ari_proxy.ingest.events.reader import EventReader
from ari_proxy.ingest.handover import messages
from ari_proxy.ingest.handover.giver import Collected, HandoverGiver
from ari_proxy.ingest.handover.taker import HandoverTaker
from ari_proxy.ingest.routing.proxy_events import Missing
from ari_proxy.ingest.take_over import DialogTakeOver
from ari_proxy.protocol import topics
from ari_proxy.protocol.ids import DialogId
from ari_proxy.settings.load import load
from tests.support.event_path import SERVER, Scene, scene

TOPIC: Final = topics.hand_over(SERVER)
DIALOG: Final = DialogId(f"{SERVER}.0123456789abcdef")


class Successor:
    """An ingest that has connected to Asterisk just now."""

    def __init__(self, path: Scene, tasks: asyncio.TaskGroup) -> None:
        parts = path.parts
        reader = EventReader(
            SERVER,
            factories.event_socket(load()),
            parts.frame_drain.buffer,
            canary=parts.canary,
            replaced=parts.replaced,
            freed=parts.freed,
            metrics=path.metrics,
        )
        self.path = path
        self.state = ActiveState()
        self.state.advance(ActiveTrigger.CONNECTED)
        self.missing = Missing()
        self.take_over = DialogTakeOver(
            TOPIC,
            HandoverTaker(path.bus, SERVER),
            HandoverGiver(path.bus, _collect, tasks, parts.replaced),
            state=self.state,
            reader=reader,
            parts=parts,
            missing=self.missing,
        )


async def _collect() -> Collected:
    return Collected(messages.pages([], gap_since=None), 2.0)


@asynccontextmanager
async def successor() -> AsyncIterator[tuple[Successor, asyncio.TaskGroup]]:
    """Run a successor around a block."""
    async with scene() as path, asyncio.TaskGroup() as tasks:
        made = Successor(path, tasks)
        yield made, tasks
        await made.take_over.end()


async def test_first_ingest_of_all_has_no_dialogs_and_an_unknown_gap() -> None:
    async with successor() as (made, tasks):
        made.path.parts.frame_drain.buffer.close()
        made.take_over.begin(tasks)
        async with asyncio.timeout(10):
            await made.take_over.wait_done()

        assert made.state.has_dialogs
        assert made.missing.since is not None
        assert made.path.parts.frame_drain.buffer.is_open


async def test_dialogs_of_a_former_ingest_go_on_here() -> None:
    async with scene() as former, successor() as (made, tasks):
        dialog = former.dialogs.open(DIALOG, "demo", "c", announce=True, now=0)
        former.dialogs.adopt(dialog, {"c": True})
        found = messages.pages(messages.records_of(former.dialogs), gap_since=None)

        async def collect() -> Collected:
            return Collected(found, 1.0)

        asked = made.path.application.bus
        giver = HandoverGiver(asked, collect, tasks, former.replaced)
        await giver.serve(TOPIC)
        made.take_over.begin(tasks)
        async with asyncio.timeout(10):
            await made.take_over.wait_done()
        await giver.end()

        assert giver.is_done
        assert list(made.path.dialogs.dialogs) == [DIALOG]
        assert made.missing.since is None


async def test_next_successor_is_answered_once_the_dialogs_are_here() -> None:
    async with successor() as (made, tasks):
        made.take_over.begin(tasks)
        async with asyncio.timeout(10):
            await made.take_over.wait_done()
            next_one = HandoverTaker(made.path.application.bus, SERVER)
            snapshot = await next_one.take()

        assert snapshot is not None
        assert list(snapshot.records) == []


async def test_wait_for_a_take_over_that_has_not_begun_is_over_at_once() -> None:
    async with successor() as (made, _):
        async with asyncio.timeout(10):
            await made.take_over.wait_done()

        assert not made.state.has_dialogs
