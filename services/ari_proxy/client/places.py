"""How many calls an application serves at once."""

import asyncio


class Places:
    """Places for calls: each is taken with its AppStart, and free again when it was served."""

    def __init__(self, limit: int | None = None) -> None:
        """Make places that are all free.

        Args:
            limit: how many there are; None for any number.
        """
        self._limit = limit
        self.taken = 0
        self._is_free = asyncio.Event()
        self._is_full = asyncio.Event()
        self._note()

    def take(self) -> bool:
        """Take a place; return False if there is none."""
        if self._is_full.is_set():
            return False
        self.taken += 1
        self._note()
        return True

    def leave(self) -> None:
        """Make a place free."""
        self.taken -= 1
        self._note()

    def _note(self) -> None:
        is_full = self._limit is not None and self.taken >= self._limit
        for event, is_set in ((self._is_full, is_full), (self._is_free, not is_full)):
            if is_set:
                event.set()
            else:
                event.clear()

    async def wait_full(self) -> None:
        """Return once no place is free."""
        await self._is_full.wait()

    async def wait_free(self) -> None:
        """Return once a place is free."""
        await self._is_free.wait()
