"""Lanes: commands of one dialog one after another, dialogs side by side, all of it bounded."""

import asyncio
from collections import deque
from collections.abc import Awaitable, Callable
from typing import Generic, TypeVar

T = TypeVar("T")


class LanesFullError(Exception):
    """As many commands wait or run as are allowed."""


class Lanes(Generic[T]):
    """Runs a coroutine function for each item: in order per key, concurrently across keys."""

    def __init__(
        self, tasks: asyncio.TaskGroup, work: Callable[[str, T], Awaitable[None]], *, capacity: int
    ) -> None:
        self._tasks = tasks
        self._work = work
        self._capacity = capacity
        self._lanes: dict[str, deque[T]] = {}
        #: The lanes whose work has begun; a task that is cancelled earlier would drop its items.
        self._busy: dict[str, asyncio.Task[None]] = {}
        self._idle = asyncio.Event()
        self._idle.set()
        self.pending = 0

    def put(self, key: str, item: T) -> None:
        """Take an item for the lane of `key`.

        Raises:
            LanesFullError: too many items wait.
        """
        if self.pending >= self._capacity:
            raise LanesFullError
        self.pending += 1
        self._idle.clear()
        lane = self._lanes.get(key)
        if lane is None:
            self._lanes[key] = deque([item])
            self._tasks.create_task(self._run(key))
        else:
            lane.append(item)

    async def _run(self, key: str) -> None:
        lane = self._lanes[key]
        task = asyncio.current_task()
        assert task is not None  # noqa: S101  a coroutine runs in one
        self._busy[key] = task
        try:
            while lane:
                try:
                    await self._work(key, lane.popleft())
                finally:
                    self.pending -= 1
        finally:
            del self._lanes[key], self._busy[key]
            if not self._lanes:
                self._idle.set()

    def cancel_work(self) -> None:
        """Cancel the work under way; it is the work's own choice to end its lane with it."""
        for task in self._busy.values():
            task.cancel()

    async def wait_idle(self) -> None:
        """Return once nothing waits or runs."""
        await self._idle.wait()
