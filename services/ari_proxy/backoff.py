"""Exponential backoff with jitter: how long to wait; the caller does the waiting."""

import random
from collections.abc import Callable
from dataclasses import dataclass

#: Enough doublings to reach any maximum.
_MAX_DOUBLINGS = 16


@dataclass(frozen=True, slots=True)
class Backoff:
    """Delays that double from the first to the last, each times a random factor of 0.5 to 1.

    The factor keeps clients that lost the same server from reconnecting all at once.
    """

    first_seconds: float
    last_seconds: float
    jitter: Callable[[], float] = random.random

    def seconds(self, failures: int) -> float:
        """Return the delay after this many failed attempts in a row (from 1)."""
        doubled = self.first_seconds * 2.0 ** min(failures - 1, _MAX_DOUBLINGS)
        return min(self.last_seconds, doubled) * (0.5 + self.jitter() / 2)
