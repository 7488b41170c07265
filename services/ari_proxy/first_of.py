"""Waits for whichever comes first."""

import asyncio
from collections.abc import Coroutine
from typing import Any


async def first_of(*works: Coroutine[Any, Any, object]) -> int:
    """Run several until one of them ends, cancel the others and wait until they have ended.

    Returns:
        The position of the one that has ended; the lowest, if several have.

    Raises:
        ExceptionGroup: of what they raise.
    """
    async with asyncio.TaskGroup() as tasks:
        running = [tasks.create_task(work) for work in works]
        done, _ = await asyncio.wait(running, return_when=asyncio.FIRST_COMPLETED)
        for task in running:
            task.cancel()
    return min(running.index(task) for task in done)
