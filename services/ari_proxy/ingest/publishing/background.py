"""Tasks that an active ingest finishes before it stops."""

import asyncio
from collections.abc import Coroutine


class BackgroundWork:
    """Independent tasks in the task group of the ingest."""

    def __init__(self, tasks: asyncio.TaskGroup) -> None:
        self._group = tasks
        self._tasks: set[asyncio.Task[None]] = set()

    def begin(self, work: Coroutine[None, None, None]) -> asyncio.Task[None]:
        """Start a task and return it."""
        task = self._group.create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
        return task

    async def finish(self, timeout_seconds: float) -> int:
        """Wait for all tasks; cancel those that take longer, and return their number."""
        if not self._tasks:
            return 0
        _, pending = await asyncio.wait(self._tasks, timeout=timeout_seconds)
        for task in pending:
            task.cancel()
        return len(pending)
