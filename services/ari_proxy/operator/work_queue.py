"""The work queue of the workers: a `Schedule` that can be waited for."""

import asyncio

from ari_proxy.clock import Clock

from .objects import ResourceKey
from .schedule import Schedule


class WorkQueue:
    """Resources to reconcile; one worker at a time has a resource."""

    def __init__(self, clock: Clock) -> None:
        self._schedule = Schedule(clock)
        self._changed = asyncio.Event()

    def put(self, key: ResourceKey) -> None:
        """Enqueue a resource; several calls within a short time are one entry."""
        self._schedule.put(key)
        self._changed.set()

    async def get(self) -> ResourceKey:
        """Wait for the next due resource; end its processing with `done` or `failed`."""
        while (key := self._schedule.start_next()) is None:
            self._changed.clear()
            await self._wait()
        return key

    def done(self, key: ResourceKey, again_seconds: float | None) -> None:
        """End a successful reconciliation.

        Args:
            key: from `get`.
            again_seconds: until the next one; None if the resource is gone.
        """
        self._schedule.done(key, again_seconds)
        self._changed.set()  # The resource may be due again, and another worker free.

    def failed(self, key: ResourceKey) -> float:
        """End a failed reconciliation; return the seconds until its retry."""
        delay = self._schedule.failed(key)
        self._changed.set()
        return delay

    async def _wait(self) -> None:
        try:
            async with asyncio.timeout(self._schedule.wait_seconds()):
                await self._changed.wait()
        except TimeoutError:
            return
