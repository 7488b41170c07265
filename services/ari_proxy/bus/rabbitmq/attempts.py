"""Attempts to consume queues: so many at once that RabbitMQ answers each of them in time.

An attempt has a deadline, since RabbitMQ does not answer for a quorum queue without a leader. With
a thousand at once the last ones would miss it, however well RabbitMQ does: each one gives up its
channel, those behind it there begin anew, and RabbitMQ is busier than before. So they take turns,
and the deadline of one begins with its turn.
"""

import asyncio
from typing import Final

#: Four on each channel of operations: some 60 a second would still be in time.
_FIRST: Final = 64
#: … for queues that were refused, or that RabbitMQ has not answered for: they may take their whole
#: time again, and nothing new waits for them.
_AGAIN: Final = 16


class ConsumeAttempts:
    """The turns in one session."""

    def __init__(self) -> None:
        self._first = asyncio.Semaphore(_FIRST)
        self._again = asyncio.Semaphore(_AGAIN)

    def turn(self, *, was_refused: bool) -> asyncio.Semaphore:
        """Return what an attempt holds for as long as it takes."""
        return self._again if was_refused else self._first
