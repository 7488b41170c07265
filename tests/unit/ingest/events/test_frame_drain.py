"""The drain of the frame buffer: in batches, and as fast as the bus takes the events."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Final

from ari_proxy.bus.base import opened
from ari_proxy.bus.memory.bus import MemoryBroker, MemoryBus
from ari_proxy.ingest.events.frame_drain import BATCH, FrameDrain
from tests.support.running import until

BUFFER_BYTES: Final = 1000
FRAME: Final = bytes(100)


class Setting:
    """A drain whose frames go to a bus as they are."""

    def __init__(self) -> None:
        self.broker = MemoryBroker()
        self.bus = MemoryBus(self.broker, buffer_bytes=BUFFER_BYTES)
        self.drain = FrameDrain(self.publish, self.bus, buffer_bytes=BUFFER_BYTES)
        self.passed = 0
        #: The most bytes that the bus has held at once.
        self.highest = 0

    def publish(self, frame: bytes, *, is_former: bool = False) -> None:
        """Publish a frame."""
        del is_former
        self.passed += 1
        self.bus.publish("events", frame)
        self.highest = max(self.highest, self.bus.buffered_bytes)

    def hold(self, count: int) -> None:
        """Hold so many frames."""
        self.drain.buffer.close()
        for _ in range(count):
            self.drain.buffer.put(FRAME)


@asynccontextmanager
async def running() -> AsyncIterator[Setting]:
    """Run a drain around a block."""
    made = Setting()
    async with opened(made.bus), asyncio.TaskGroup() as tasks:
        await made.bus.wait_connected()
        draining = tasks.create_task(made.drain.run())
        yield made
        draining.cancel()


async def test_held_frames_pass_only_as_fast_as_the_bus_takes_them() -> None:
    async with running() as made:
        made.hold(50)
        made.drain.open()
        await made.drain.drained()

    assert made.passed == 50
    # The last one that passes finds less than half of the capacity in use.
    assert made.highest <= BUFFER_BYTES // 2 + 2 * len(FRAME)


async def test_other_tasks_get_a_turn_between_two_batches() -> None:
    async with running() as made:
        made.broker.stop()  # Without a connection nothing waits for room.
        await until(lambda: not made.bus.is_connected)
        made.hold(BATCH + 1)
        made.drain.open()
        seen = set()
        while made.passed <= BATCH:
            await asyncio.sleep(0)
            seen.add(made.passed)

    assert seen - {0} == {BATCH, BATCH + 1}


async def test_nothing_passes_before_the_buffer_is_opened() -> None:
    async with running() as made:
        made.hold(1)
        await _let_others_run()
        assert made.passed == 0
        made.drain.open_within(0)
        made.drain.open_within(3600)  # A later call does not delay the first.
        await until(lambda: made.passed == 1)


async def test_open_cancels_the_time_that_was_set() -> None:
    async with running() as made:
        made.hold(1)
        made.drain.open_within(0)
        made.drain.open()
        await made.drain.drained()
        made.hold(1)
        await _let_others_run()

        assert not made.drain.buffer.is_open


async def test_frames_of_former_connections_are_drained_on_their_own() -> None:
    async with running() as made:
        made.hold(2)
        made.hold(1)
        made.drain.buffer.open_for_former()
        await made.drain.former_drained()

        assert (made.passed, made.drain.buffer.former) == (2, 0)


async def test_finish_passes_all_frames_where_the_bus_has_no_room() -> None:
    async with running() as made:
        made.hold(50)
        await made.drain.finish(0)

        assert made.passed == 50
        assert made.highest > BUFFER_BYTES // 2


async def _let_others_run() -> None:
    for _ in range(10):
        await asyncio.sleep(0)
