"""A clock set by tests."""


class Clock:
    """Monotonic seconds that pass only when a test advances `now`."""

    def __init__(self) -> None:
        self.now = 100.0

    def __call__(self) -> float:
        return self.now
