"""Log lines about lost messages, at a bounded rate."""

import asyncio
from collections import Counter
from typing import Final

import structlog

from .base import DropReason

_log = structlog.get_logger()

#: Seconds between two lines about the same reason.
LOG_SECONDS: Final = 10.0


class DropLog:
    """Logs the first lost message at once, then counts every ten seconds, by reason."""

    def __init__(self, *, log_seconds: float = LOG_SECONDS) -> None:
        self._log_seconds = log_seconds
        self._counts: Counter[DropReason] = Counter()
        #: Until it fires, lost messages are only counted.
        self._timer: asyncio.TimerHandle | None = None

    def note(self, reason: DropReason) -> None:
        """Count a lost message."""
        self._counts[reason] += 1
        if self._timer is None:
            self.write()

    def write(self) -> None:
        """Log what was lost since the last time."""
        counts, self._counts = self._counts, Counter()
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        for reason, count in counts.items():
            _log.error("bus.messages_dropped", reason=reason, count=count)
        if counts:
            self._timer = asyncio.get_running_loop().call_later(self._log_seconds, self.write)
