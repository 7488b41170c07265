"""Workers share the resources that are due."""

import asyncio

import pytest

from ari_proxy.operator.objects import ResourceKey
from ari_proxy.operator.schedule import DEBOUNCE_SECONDS
from ari_proxy.operator.work_queue import WorkQueue
from tests.support.clock import Clock

KEY, OTHER = ResourceKey("voice", "a"), ResourceKey("voice", "b")


async def is_empty(queue: WorkQueue) -> bool:
    """Return whether a worker has to wait, once every task has run as far as it can."""
    worker = asyncio.create_task(queue.get())
    for _ in range(5):
        await asyncio.sleep(0)
    is_waiting = not worker.done()
    worker.cancel()
    await asyncio.gather(worker, return_exceptions=True)
    return is_waiting


async def test_burst_is_one_entry() -> None:
    clock = Clock()
    queue = WorkQueue(clock)
    for _ in range(5):
        queue.put(KEY)
    assert await is_empty(queue)
    clock.now += DEBOUNCE_SECONDS

    assert await queue.get() == KEY
    assert await is_empty(queue)


async def test_waiting_worker_gets_what_is_put() -> None:
    queue = WorkQueue(asyncio.get_running_loop().time)
    async with asyncio.timeout(10):
        worker = asyncio.create_task(queue.get())
        await asyncio.sleep(0)
        queue.put(KEY)

        assert await worker == KEY


async def test_waiting_worker_gets_what_becomes_due() -> None:
    queue = WorkQueue(asyncio.get_running_loop().time)
    async with asyncio.timeout(10):
        queue.put(KEY)
        assert await queue.get() == KEY
        queue.done(KEY, 0.01)

        assert await queue.get() == KEY


@pytest.mark.parametrize("succeeds", [True, False])
async def test_one_worker_at_a_time_has_a_resource(succeeds: bool) -> None:
    clock = Clock()
    queue = WorkQueue(clock)
    queue.put(KEY)
    clock.now += 1
    await queue.get()
    queue.put(KEY)
    clock.now += 1
    assert await is_empty(queue)

    # Its end wakes the worker that waits for it.
    async with asyncio.timeout(10):
        worker = asyncio.create_task(queue.get())
        await asyncio.sleep(0)
        if succeeds:
            queue.done(KEY, 600)
        else:
            assert queue.failed(KEY) > 0
        assert await worker == KEY


async def test_workers_share_the_resources() -> None:
    clock = Clock()
    queue = WorkQueue(clock)
    async with asyncio.timeout(10):
        workers = [asyncio.create_task(queue.get()) for _ in range(2)]
        await asyncio.sleep(0)
        queue.put(KEY)
        queue.put(OTHER)
        clock.now += DEBOUNCE_SECONDS

        assert {await worker for worker in workers} == {KEY, OTHER}


async def test_resource_that_is_gone_is_not_due_again() -> None:
    clock = Clock()
    queue = WorkQueue(clock)
    queue.put(KEY)
    clock.now += 1
    queue.done(await queue.get(), None)
    clock.now += 10_000

    assert await is_empty(queue)


async def test_cancelled_worker_loses_nothing() -> None:
    clock = Clock()
    queue = WorkQueue(clock)
    assert await is_empty(queue)  # It cancels a waiting worker.
    queue.put(KEY)
    clock.now += DEBOUNCE_SECONDS

    async with asyncio.timeout(10):
        assert await queue.get() == KEY
