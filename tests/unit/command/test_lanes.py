"""Lanes keep the order of their items, run side by side, and let what is urgent overtake."""

import asyncio
import contextlib

import pytest

from ari_proxy.command.lanes import Lanes, LanesFullError, Turn


async def test_lane_keeps_order_while_lanes_run_side_by_side() -> None:
    done: list[tuple[str, int]] = []
    gate = asyncio.Event()

    async def work(key: str, item: int, _turn: Turn) -> None:
        if key == "slow":
            await gate.wait()
        done.append((key, item))

    async with asyncio.TaskGroup() as tasks:
        lanes: Lanes[int] = Lanes(tasks, work, capacity=10)
        for item in range(3):
            lanes.put("slow", item)
            lanes.put("fast", item)
        await asyncio.sleep(0)
        await asyncio.sleep(0)
        assert done == [("fast", 0), ("fast", 1), ("fast", 2)]
        gate.set()
        await lanes.wait_idle()

    assert done[3:] == [("slow", 0), ("slow", 1), ("slow", 2)]
    assert (lanes.pending, len(lanes._lanes)) == (0, 0)


async def test_full_lanes_refuse() -> None:
    async with asyncio.TaskGroup() as tasks:
        lanes: Lanes[int] = Lanes(tasks, lambda *_: asyncio.sleep(0), capacity=1)
        lanes.put("a", 1)
        with pytest.raises(LanesFullError):
            lanes.put("b", 1)


async def test_cancelled_lanes_leave_nothing_behind() -> None:
    begun: list[int] = []

    async def work(_key: str, item: int, _turn: Turn) -> None:
        begun.append(item)
        await asyncio.Event().wait()

    lanes: Lanes[int]
    async with asyncio.TaskGroup() as tasks:
        lanes = Lanes(tasks, work, capacity=10)
        for item in range(3):
            lanes.put(f"{item}", item)
        while len(begun) < 3:
            await asyncio.sleep(0)
        lanes.cancel_work()
        async with asyncio.timeout(5):
            await lanes.wait_idle()

    assert (lanes.pending, len(lanes._lanes)) == (0, 0)


async def test_work_that_takes_its_cancellation_goes_on_with_its_lane() -> None:
    done: list[int] = []

    async def work(_key: str, item: int, _turn: Turn) -> None:
        with contextlib.suppress(asyncio.CancelledError):
            if not item:
                await asyncio.Event().wait()
        done.append(item)

    async with asyncio.TaskGroup() as tasks:
        lanes: Lanes[int] = Lanes(tasks, work, capacity=10)
        for item in range(3):
            lanes.put("lane", item)
        await asyncio.sleep(0)
        lanes.cancel_work()
        async with asyncio.timeout(5):
            await lanes.wait_idle()

    assert done == [0, 1, 2]


class Stage:
    """Work of which the slow item waits, and of which `in_order` end at their turn.

    What is held holds back what is urgent.
    """

    def __init__(self, tasks: asyncio.TaskGroup, *, in_order: frozenset[str] = frozenset()) -> None:
        self._in_order = in_order
        self.gate = asyncio.Event()
        self.begun: list[str] = []
        self.ended: list[str] = []
        self.gates = {"slow": self.gate}
        self.lanes: Lanes[str] = Lanes(
            tasks,
            self._work,
            capacity=10,
            patience_seconds=0,
            holds_back=lambda item: item == "held",
        )

    async def _work(self, _key: str, item: str, turn: Turn) -> None:
        self.begun.append(item)
        if item in self.gates:
            with contextlib.suppress(asyncio.CancelledError):
                await self.gates[item].wait()
        if item in self._in_order:
            await turn.wait()
        self.ended.append(item)

    async def until_overtaken_elsewhere(self) -> None:
        """Wait until what is urgent in another lane, and came later, has overtaken."""
        self.lanes.put("other", "slow")
        self.lanes.put("other", "elsewhere", urgent=True)
        await self.until_begun("elsewhere")

    async def until_begun(self, item: str) -> None:
        async with asyncio.timeout(5):
            while item not in self.begun:
                await asyncio.sleep(0)


async def test_what_is_urgent_overtakes_what_waits_in_its_lane() -> None:
    async with asyncio.TaskGroup() as tasks:
        stage = Stage(tasks)
        for item in ("slow", "next", "urgent", "last"):
            stage.lanes.put("lane", item, urgent=item == "urgent")
        await stage.until_begun("urgent")
        assert stage.ended == ["urgent"]
        assert stage.lanes.pending == 4
        stage.gate.set()
        await stage.lanes.wait_idle()

    assert stage.begun == ["slow", "urgent", "next", "last"]
    assert stage.ended == ["urgent", "slow", "next", "last"]
    assert (stage.lanes.pending, len(stage.lanes._lanes)) == (0, 0)


@pytest.mark.parametrize("is_cancelled", [False, True], ids=["done", "cancelled"])
async def test_what_overtook_ends_in_order_if_it_asks_for_it(*, is_cancelled: bool) -> None:
    async with asyncio.TaskGroup() as tasks:
        stage = Stage(tasks, in_order=frozenset({"urgent", "too"}))
        for item in ("slow", "next", "urgent", "too", "last"):
            stage.lanes.put("lane", item, urgent=item in {"urgent", "too"})
        await stage.until_begun("too")
        assert stage.ended == []
        if is_cancelled:
            stage.lanes.cancel_work()
        else:
            stage.gate.set()
        async with asyncio.timeout(5):
            await stage.lanes.wait_idle()

    assert stage.begun == ["slow", "urgent", "too", "next", "last"]
    assert stage.ended == ["slow", "next", "urgent", "too", "last"]


async def test_what_is_urgent_waits_for_its_turn_first() -> None:
    async with asyncio.TaskGroup() as tasks:
        stage = Stage(tasks)
        stage.gate.set()
        for item in ("quick", "next", "urgent"):
            stage.lanes.put("lane", item, urgent=item == "urgent")
        await stage.lanes.wait_idle()

    assert stage.ended == ["quick", "next", "urgent"]


async def test_what_waits_holds_back_what_is_urgent() -> None:
    async with asyncio.TaskGroup() as tasks:
        stage = Stage(tasks)
        for item in ("slow", "held", "held", "urgent", "last"):
            stage.lanes.put("lane", item, urgent=item == "urgent")
        await stage.until_overtaken_elsewhere()
        assert "urgent" not in stage.begun
        stage.gate.set()
        await stage.lanes.wait_idle()

    assert [item for item in stage.begun if item != "elsewhere"] == [
        *("slow", "slow", "held", "held", "urgent", "last")
    ]
    assert (stage.lanes.pending, len(stage.lanes._lanes)) == (0, 0)


async def test_what_was_held_back_overtakes_as_soon_as_that_is_done() -> None:
    async with asyncio.TaskGroup() as tasks:
        stage = Stage(tasks)
        stage.gates["held"] = asyncio.Event()
        for item in ("held", "slow", "next", "urgent"):
            stage.lanes.put("lane", item, urgent=item == "urgent")
        await stage.until_overtaken_elsewhere()
        assert "urgent" not in stage.begun
        stage.gates["held"].set()
        await stage.until_begun("urgent")
        assert "next" not in stage.begun
        stage.gate.set()
        await stage.lanes.wait_idle()

    assert stage.ended[-2:] == ["slow", "next"]
