"""The clock that does not wait."""

import asyncio
import threading
from concurrent.futures import ThreadPoolExecutor

import pytest

from ari_proxy.testing import VirtualTimeLoop

DAY = 86_400.0


async def test_sleepers_wake_in_order_without_waiting() -> None:
    woken: list[float] = []

    async def sleep(seconds: float) -> None:
        await asyncio.sleep(seconds)
        woken.append(seconds)

    loop = asyncio.get_running_loop()
    began = loop.time()
    async with asyncio.TaskGroup() as tasks:
        for seconds in (3 * DAY, DAY, 2 * DAY):
            tasks.create_task(sleep(seconds))

    assert woken == [DAY, 2 * DAY, 3 * DAY]
    assert loop.time() - began == pytest.approx(3 * DAY)


async def test_timeout_ends_what_never_comes() -> None:
    with pytest.raises(TimeoutError):
        async with asyncio.timeout(DAY):
            await asyncio.Event().wait()


async def test_function_is_called_whenever_all_tasks_wait() -> None:
    loop = asyncio.get_running_loop()
    assert isinstance(loop, VirtualTimeLoop)
    began, idle = loop.time(), list[float]()

    def note() -> bool:
        idle.append(loop.time() - began)
        return False

    with loop.calling_when_idle(note):
        await asyncio.sleep(0)
        await asyncio.sleep(1)
        await asyncio.sleep(2)
    await asyncio.sleep(4)

    assert idle == [pytest.approx(0), pytest.approx(1)]


async def test_what_is_scheduled_when_all_wait_runs_before_the_clock_goes_on() -> None:
    loop, woken = asyncio.get_running_loop(), asyncio.Event()
    assert isinstance(loop, VirtualTimeLoop)
    began = loop.time()

    def wake() -> bool:
        loop.call_soon(woken.set)
        return not woken.is_set()

    with loop.calling_when_idle(wake):
        async with asyncio.timeout(DAY):
            await woken.wait()

    assert loop.time() == began


async def test_clock_stands_still_while_a_thread_works() -> None:
    loop, may_end = asyncio.get_running_loop(), threading.Event()
    began = loop.time()

    async with asyncio.timeout(DAY):
        working = asyncio.ensure_future(asyncio.to_thread(may_end.wait))
        await asyncio.sleep(0)
        may_end.set()
        await working

    assert loop.time() == began


class SlowToEnd(ThreadPoolExecutor):
    """Threads that are joined a moment after it was asked for."""

    def shutdown(self, wait: bool = True, *, cancel_futures: bool = False) -> None:  # noqa: FBT002  its base's
        joined = threading.Event()
        threading.Timer(0.2, joined.set).start()
        joined.wait()
        super().shutdown(wait, cancel_futures=cancel_futures)


def test_clock_stands_still_while_threads_are_joined() -> None:
    """Python 3.12 and later give up on them after a while."""
    with asyncio.Runner(loop_factory=VirtualTimeLoop) as runner:
        loop = runner.get_loop()
        loop.set_default_executor(SlowToEnd())
        runner.run(asyncio.to_thread(int))
        began = loop.time()

    assert loop.time() == began
