"""What goes wrong on our side of a bus: counted, and told without flooding the log."""

import time
from collections.abc import Callable
from typing import Final, Literal

import structlog

from ari_proxy.protocol import topics

_log = structlog.get_logger()

Kind = Literal["slow_consumer", "handler_failed", "recorded"]
KINDS: Final[tuple[Kind, ...]] = ("slow_consumer", "handler_failed", "recorded")
#: Seconds in which the same fault on the same topic is told once.
TELL_SECONDS: Final = 60.0
#: Topics of which it is known when they were told of.
_MAX_TOLD: Final = 1000


class Faults:
    """Counts faults by kind; logs the first one of a topic, and then one in a while."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self.counts: dict[str, int] = dict.fromkeys(KINDS, 0)
        self._told: dict[tuple[Kind, str], float] = {}

    def lost(self, topic: str) -> None:
        """Count a message that came faster than its handler took those before."""
        if self._is_new("slow_consumer", topic):
            count = self.counts["slow_consumer"]
            _log.error("bus.message_lost", topic=topic, reason="slow_consumer", count=count)

    def failed(self, topic: str, error: Exception) -> None:
        """Count a handler's failure, and log it with its traceback."""
        if self._is_new("handler_failed", topic):
            _log.error("bus.handler_failed", topic=topic, exc_info=error)

    def _is_new(self, kind: Kind, topic: str) -> bool:
        """Count a fault; return whether it has to be told."""
        self.counts[kind] += 1
        now, pattern = self._clock(), topics.pattern_of(topic)
        if now - self._told.get((kind, pattern), -TELL_SECONDS) < TELL_SECONDS:
            return False
        if len(self._told) >= _MAX_TOLD:
            self._told.clear()
        self._told[kind, pattern] = now
        return True
