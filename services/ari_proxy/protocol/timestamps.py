"""RFC 3339 times as Go's `time.RFC3339Nano` writes them: up to nine decimals, no trailing zeros."""

import time
from datetime import datetime


def seconds_of(text: str) -> float | None:
    """Return the Unix time of a timestamp, to a microsecond; None if it is malformed."""
    try:
        return datetime.fromisoformat(text).timestamp()
    except ValueError:
        return None


class Rfc3339Nano:
    """Formats nanoseconds since the epoch; caches the last second, since events come in bursts."""

    __slots__ = ("_prefix", "_second")

    def __init__(self) -> None:
        self._second = -1
        self._prefix = ""

    def format(self, nanoseconds: int) -> str:
        """Return the time in UTC, like `2026-11-23T09:32:37.7928587Z`."""
        second, fraction = divmod(nanoseconds, 1_000_000_000)
        if second != self._second:
            self._second = second
            self._prefix = time.strftime("%Y-%m-%dT%H:%M:%S", time.gmtime(second))
        if not fraction:
            return self._prefix + "Z"
        return f"{self._prefix}.{fraction:09d}".rstrip("0") + "Z"
