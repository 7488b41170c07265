"""Repeated attempts, with pauses that double up to a limit."""

import asyncio
from typing import Final, Self

#: Seconds between two attempts: the first pause is what a client needs to subscribe.
FIRST_PAUSE_SECONDS: Final = 0.0005
LAST_PAUSE_SECONDS: Final = 0.1


class Attempts:
    """An endless iterator over attempts: True for one without a pause before it, else False.

    Not a generator: one that is not exhausted is closed by the garbage collector, in a task of its
    own.
    """

    def __init__(self, *, at_once: bool = True) -> None:
        """Make the attempts.

        Args:
            at_once: whether the first attempt comes without a pause.
        """
        self._at_once = at_once
        self._pause = FIRST_PAUSE_SECONDS

    def __aiter__(self) -> Self:
        """Return this iterator."""
        return self

    async def __anext__(self) -> bool:
        """Wait for the next attempt; return whether there was no pause."""
        at_once, self._at_once = self._at_once, False
        if not at_once:
            await asyncio.sleep(self._pause)
            self._pause = min(self._pause * 2, LAST_PAUSE_SECONDS)
        return at_once
