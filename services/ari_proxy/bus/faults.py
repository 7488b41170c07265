"""Faults on our side of a bus: counted, and logged without flooding the log."""

import time
from typing import Final, Literal, get_args

import structlog

from ari_proxy.clock import Clock
from ari_proxy.protocol import topics

from .base import Handler, Message

_log = structlog.get_logger()

Kind = Literal["slow_consumer", "handler_failed", "recorded", "login_refused", "unproven"]
KINDS: Final[tuple[Kind, ...]] = get_args(Kind)
#: Seconds in which the same fault on the same topic is logged once.
LOG_SECONDS: Final = 60.0
#: Bound of the remembered topics.
_MAX_LOGGED: Final = 1000


class Faults:
    """Counts faults by kind; logs one per topic and `LOG_SECONDS`."""

    def __init__(self, clock: Clock = time.monotonic) -> None:
        self._clock = clock
        self.counts: dict[str, int] = dict.fromkeys(KINDS, 0)
        self._logged_at: dict[tuple[Kind, str], float] = {}

    def lost(self, topic: str) -> None:
        """Count a message that was lost because the handler is too slow."""
        if self._is_new("slow_consumer", topic):
            count = self.counts["slow_consumer"]
            _log.error("bus.message_lost", topic=topic, reason="slow_consumer", count=count)

    def unproven(self, count: int) -> None:
        """Count messages whose connection was lost as they were acknowledged.

        They come again, unless the server had the acknowledgements: then nobody has them.
        """
        self.counts["unproven"] += count
        _log.error("bus.messages_unproven", count=count)

    def run(self, handler: Handler, message: Message) -> None:
        """Call a handler; count and log an exception, so that the next message is handled."""
        try:
            handler(message)
        except Exception as error:  # noqa: BLE001  of whatever kind
            if self._is_new("handler_failed", message.topic):
                _log.error("bus.handler_failed", topic=message.topic, exc_info=error)

    def _is_new(self, kind: Kind, topic: str) -> bool:
        """Count a fault; return whether to log it."""
        self.counts[kind] += 1
        now, pattern = self._clock(), topics.pattern_of(topic)
        if now - self._logged_at.get((kind, pattern), -LOG_SECONDS) < LOG_SECONDS:
            return False
        if len(self._logged_at) >= _MAX_LOGGED:
            self._logged_at.clear()
        self._logged_at[kind, pattern] = now
        return True
