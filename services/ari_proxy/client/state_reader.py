"""Following what happens to something, and reading its state where events may not tell it."""

from collections.abc import Awaitable, Callable
from typing import Final

from .errors import RequestFailed, TransportFailed
from .follower import Follower
from .missed_events import MissedEvents

#: Seconds to wait after a reading that has failed, times the readings that have.
RETRY_SECONDS: Final = 1.0
#: Readings that fail one after another until whoever waits is told, or the pauses stop growing.
READ_ATTEMPTS: Final = 10


class StateReader:
    """Waits for news of something: from events, or from Asterisk if there may be none.

    Its state is read after a gap in the events, and when none has come for long.
    """

    def __init__(
        self,
        follower: Follower,
        missed: MissedEvents,
        read: Callable[[], Awaitable[None]],
        *,
        retry_seconds: float = RETRY_SECONDS,
        gives_up: bool = False,
    ) -> None:
        """Follow something.

        Args:
            follower: of its events.
            missed: the gaps in them.
            read: asks Asterisk for its state, and notes that.
            retry_seconds: to wait after a reading that has failed; longer if more have.
            gives_up: whether what the last of READ_ATTEMPTS has raised is raised; else it goes on.
        """
        self._follower = follower
        self._missed = missed
        self._read = read
        self._retry_seconds = retry_seconds
        self._gives_up = gives_up
        self._failures = 0

    async def follow_on(self, within_seconds: float) -> None:
        """Return once something has happened, or the state was read, or can't be read now.

        Args:
            within_seconds: without an event after which it is read.

        Raises:
            CallEnded: there will be no event any more.
        """
        if self._missed.are_unread or not await self._follower.news(within_seconds):
            await self.read()

    async def read(self) -> bool:
        """Read the state; return whether it is known now."""
        try:
            with self._missed.reading():
                await self._read()
        except (RequestFailed, TransportFailed):
            self._failures = min(self._failures + 1, READ_ATTEMPTS)
            if self._gives_up and self._failures == READ_ATTEMPTS:
                raise
            await self._follower.news(self._retry_seconds * self._failures)
            return False
        self._failures = 0
        return True
