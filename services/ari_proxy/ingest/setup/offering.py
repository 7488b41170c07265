"""When an AppStart is offered again: it was declined, or nobody has subscribed. Sans-I/O.

NATS does not show whether the instance that accepted it is alive. Two instances that serve the same
dialog would harm the call, so a slow one gets some seconds, and twice as many each time.
"""

from typing import Final

#: Seconds for an instance that accepted to subscribe to the events; doubled with each offer.
TAKER_SECONDS: Final = 3.0
#: Seconds before a declined AppStart is offered again: at first, and at most. The same instance may
#: get it, and must not be kept busy.
FIRST_DECLINED_SECONDS: Final = 0.05
LAST_DECLINED_SECONDS: Final = 1.0


class Offering:
    """The offers of one AppStart."""

    def __init__(self, now: float, *, taker_seconds: float = TAKER_SECONDS) -> None:
        self._patience = taker_seconds
        self._pause = FIRST_DECLINED_SECONDS
        self._is_declined = False
        self._due_at = now + self._patience

    def is_due(self, now: float, *, is_declined: bool) -> bool:
        """Return whether to offer it again.

        Args:
            now: monotonic seconds.
            is_declined: whether the last offer was declined.
        """
        if is_declined and not self._is_declined:
            self._is_declined = True
            self._due_at = now + self._pause
            self._pause = min(self._pause * 2, LAST_DECLINED_SECONDS)
        return now >= self._due_at

    def offered(self, now: float) -> None:
        """Record that it was offered again."""
        if not self._is_declined:
            self._patience *= 2
        self._is_declined = False
        self._due_at = now + self._patience
