"""Additions to asyncio: races, a task of its own, a deadline, the first error of a group."""

import asyncio
from collections.abc import Coroutine
from typing import Any


async def run_until_first(*coroutines: Coroutine[Any, Any, object]) -> int:
    """Run coroutines until one of them ends; cancel the others and wait until they have ended.

    Returns:
        The position of the one that ended; the lowest, if several did.

    Raises:
        ExceptionGroup: of what they raise.
    """
    async with asyncio.TaskGroup() as tasks:
        running = [tasks.create_task(coroutine) for coroutine in coroutines]
        done, _ = await asyncio.wait(running, return_when=asyncio.FIRST_COMPLETED)
        for task in running:
            task.cancel()
    return min(running.index(task) for task in done)


async def in_own_task(coroutine: Coroutine[Any, Any, object]) -> None:
    """Await a coroutine that runs a task group, in a task of its own.

    A task group whose child fails while its own task is being cancelled swallows the cancellation
    (Python 3.11): a loop around it would never end.

    Raises:
        ExceptionGroup: of what it raises.
    """
    async with asyncio.TaskGroup() as tasks:
        tasks.create_task(coroutine)


class Deadline:
    """The end of the time that several waits have together."""

    def __init__(self, seconds: float) -> None:
        """Set it to so many seconds from now on."""
        self._clock = asyncio.get_running_loop().time
        self._at = self._clock() + seconds

    @property
    def seconds(self) -> float:
        """The time that is left; 0 once it is over."""
        return max(0.0, self._at - self._clock())


def first_leaf(error: BaseException) -> BaseException:
    """Return the first error inside an exception group, however deep, or the error itself."""
    return first_leaf(error.exceptions[0]) if isinstance(error, BaseExceptionGroup) else error
