"""A limit for log lines about what anybody outside can cause, as often as they like."""

import time

from .clock import Clock


class LogLimit:
    """Limits the lines about one thing: one now, the next one some time later."""

    def __init__(self, seconds: float, *, clock: Clock = time.monotonic) -> None:
        """Initialise without a line.

        Args:
            seconds: between two lines, at least.
            clock: for these seconds.
        """
        self._seconds = seconds
        self._clock = clock
        self._next_at = clock()
        self._others = 0

    def others(self) -> int | None:
        """Return how many lines were left out since the last one; None: leave this one out, too."""
        now = self._clock()
        if now < self._next_at:
            self._others += 1
            return None
        self._next_at = now + self._seconds
        others, self._others = self._others, 0
        return others
