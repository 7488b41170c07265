import asyncio

import pytest

from ari_proxy.aio import Deadline, first_leaf, in_own_task, run_until_first
from ari_proxy.testing import VirtualTimeLoop


async def _forever(ended: asyncio.Event) -> None:
    try:
        await asyncio.Event().wait()
    finally:
        ended.set()


async def test_the_first_to_end_cancels_the_others() -> None:
    ended: list[str] = []

    async def wait(name: str, event: asyncio.Event) -> None:
        try:
            await event.wait()
        finally:
            await asyncio.sleep(0)
            ended.append(name)

    one, two = asyncio.Event(), asyncio.Event()
    two.set()
    assert await run_until_first(wait("one", one), wait("two", two)) == 1
    assert sorted(ended) == ["one", "two"]


async def test_the_lowest_position_wins_a_tie() -> None:
    assert await run_until_first(asyncio.sleep(0), asyncio.sleep(0)) == 0


async def test_an_error_is_raised_and_cancels_the_others() -> None:
    async def fail() -> None:
        raise LookupError

    ended = asyncio.Event()
    with pytest.raises(ExceptionGroup) as raised:
        await run_until_first(_forever(ended), fail())
    assert raised.group_contains(LookupError)


async def test_a_cancellation_ends_all() -> None:
    ended = asyncio.Event()
    waiting = asyncio.create_task(run_until_first(_forever(ended)))
    await asyncio.sleep(0)
    await asyncio.sleep(0)
    waiting.cancel()
    with pytest.raises(asyncio.CancelledError):
        await waiting
    assert ended.is_set()


async def test_a_loop_around_its_own_task_is_cancelled_while_a_child_fails() -> None:
    begun, fails = asyncio.Event(), asyncio.Event()

    async def fail() -> None:
        await fails.wait()
        raise LookupError

    async def serve() -> None:
        try:
            async with asyncio.TaskGroup() as tasks:
                tasks.create_task(fail())
                begun.set()
        except* LookupError:
            pass

    rounds = 0

    async def loop() -> None:
        nonlocal rounds
        while rounds < 3:
            await in_own_task(serve())
            rounds += 1

    looping = asyncio.create_task(loop())
    await begun.wait()
    fails.set()
    await asyncio.sleep(0)  # The child has failed, its group has not noticed.
    looping.cancel()
    with pytest.raises(asyncio.CancelledError):
        await looping
    assert rounds == 0


def test_the_first_leaf_is_found_at_any_depth() -> None:
    error = LookupError("first")
    inner = ExceptionGroup("inner", [error, ValueError("second")])
    assert first_leaf(ExceptionGroup("outer", [inner, OSError("third")])) is error
    assert first_leaf(error) is error


def test_a_deadline_tells_what_is_left_of_it() -> None:
    async def seconds() -> list[float]:
        deadline = Deadline(10)
        left = [deadline.seconds]
        for pause in (4, 7):
            await asyncio.sleep(pause)
            left.append(deadline.seconds)
        return left

    with asyncio.Runner(loop_factory=VirtualTimeLoop) as runner:
        assert runner.run(seconds()) == pytest.approx([10, 6, 0])
