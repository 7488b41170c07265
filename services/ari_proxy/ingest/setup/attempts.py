"""Attempts at something that may take a while, with longer and longer pauses between them."""

import asyncio
from collections.abc import Callable
from typing import Final, Self

#: Seconds between two attempts: the first pause is what a client needs to subscribe.
FIRST_PAUSE_SECONDS: Final = 0.0005
LAST_PAUSE_SECONDS: Final = 0.1


class Attempts:
    """Gives True for the attempt at once, and False for each one after a pause; has no end.

    No generator: one that is left before its end is closed by the garbage collector, in a task that
    nobody has begun.
    """

    def __init__(self, check: Callable[[], None], *, at_once: bool = True) -> None:
        """Make them.

        Args:
            check: called before each attempt; raises if there is to be none.
            at_once: whether there is an attempt before the first pause.
        """
        self._check = check
        self._at_once = at_once
        self._pause = FIRST_PAUSE_SECONDS

    def __aiter__(self) -> Self:
        """Return itself."""
        return self

    async def __anext__(self) -> bool:
        """Return at once, or after a pause; whether it was at once."""
        at_once, self._at_once = self._at_once, False
        if not at_once:
            await asyncio.sleep(self._pause)
            self._pause = min(self._pause * 2, LAST_PAUSE_SECONDS)
        self._check()
        return at_once
