"""The clocks that objects are made with: `time.monotonic`, or one that a test sets."""

from collections.abc import Callable

#: Returns seconds since a fixed moment.
Clock = Callable[[], float]
