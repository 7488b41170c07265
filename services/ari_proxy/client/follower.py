"""Following the events of a party, with somebody who waits for the next one."""

import asyncio
from collections.abc import Callable
from contextlib import ExitStack
from types import TracebackType
from typing import Self

from .ari.model import Event
from .party import Party


class Follower:
    """Hands each event on as it arrives, and wakes who waits.

    It follows from its making on: what is sent to Asterisk after that can cause no event unseen.
    """

    def __init__(self, party: Party, take: Callable[[Event], None]) -> None:
        """Follow a party.

        Args:
            party: whose events.
            take: called with each.
        """
        self._party = party
        self._take = take
        self._news = asyncio.Event()
        self._open = ExitStack()
        self._open.enter_context(party.following(self._hear))

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.close()

    def close(self) -> None:
        """Follow no more."""
        self._open.close()

    async def news(self, within_seconds: float | None) -> bool:
        """Wait for an event that nobody has waited for yet; return whether one came in time.

        Raises:
            CallEnded: there will be none, and none is left.
        """
        if not self._news.is_set() and self._party.is_over:
            raise self._party.end_error()
        try:
            async with asyncio.timeout(within_seconds):
                await self._news.wait()
        except TimeoutError:
            return False
        self._news.clear()
        return True

    def _hear(self, event: Event) -> None:
        try:
            self._take(event)
        finally:
            self._news.set()
