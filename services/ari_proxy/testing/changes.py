"""Waiting for what a call brings about."""

import asyncio
from collections.abc import Callable
from typing import TypeVar

T = TypeVar("T")


class Changes:
    """Wakes those who wait for something to become true."""

    def __init__(self) -> None:
        self._changed = asyncio.Event()

    def note(self) -> None:
        """Have all who wait look again."""
        self._changed.set()

    async def until(
        self, look: Callable[[], T | None], *, timeout_seconds: float | None = None
    ) -> T:
        """Return what `look` finds, as soon as that is not None.

        Args:
            look: called at first, and after each change.
            timeout_seconds: None leaves the deadline to the caller.

        Raises:
            TimeoutError: it was None for too long.
            Exception: what `look` raises.
        """
        async with asyncio.timeout(timeout_seconds):
            while (found := look()) is None:
                self._changed.clear()
                await self._changed.wait()
        return found
