"""When an AppStart goes out again: its taker has declined it, or nobody came for the events. Pure.

On NATS nobody knows whether a taker lives. Two that serve the same dialog would harm the call, so
one that is slow has time: some seconds, and each time twice as many.
"""

from typing import Final

#: Seconds for a taker to subscribe to the dialog's events; doubled with each offer.
TAKER_SECONDS: Final = 3.0
#: Seconds before a declined AppStart goes out again: at first, and at most. It may come to the same
#: instance, and must not keep it busy.
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
            is_declined: whether the taker of the last offer has declined it.
        """
        if is_declined and not self._is_declined:
            self._is_declined = True
            self._due_at = now + self._pause
            self._pause = min(self._pause * 2, LAST_DECLINED_SECONDS)
        return now >= self._due_at

    def offered(self, now: float) -> None:
        """Note that it went out again."""
        if not self._is_declined:
            self._patience *= 2
        self._is_declined = False
        self._due_at = now + self._patience
