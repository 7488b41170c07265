"""What is due when: one entry per resource, whatever happens to it. Pure.

A resource is looked at by one worker at a time. What happens meanwhile has it looked at again; a
look that failed is repeated after a pause that doubles.
"""

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Final

from ari_proxy.backoff import Backoff

Key = tuple[str, str]
#: Changes come in bursts, and one look sees them all.
GATHER_SECONDS: Final = 0.2
BACKOFF: Final = Backoff(1.0, 120.0)


@dataclass(slots=True)
class Schedule:
    """Resources, `(namespace, name)`, and when to look at them."""

    clock: Callable[[], float]
    _due: dict[Key, float] = field(default_factory=dict)
    _running: set[Key] = field(default_factory=set)
    _failures: dict[Key, int] = field(default_factory=dict)

    def put(self, key: Key, delay: float = GATHER_SECONDS) -> None:
        """Have a resource looked at after a delay, or earlier if that is due already."""
        at = self.clock() + delay
        self._due[key] = min(at, self._due.get(key, at))

    def take(self) -> Key | None:
        """Return a resource that is due, whose look begins now; or None."""
        now = self.clock()
        due = [(at, key) for key, at in self._due.items() if at <= now and key not in self._running]
        if not due:
            return None
        _, key = min(due)
        del self._due[key]
        self._running.add(key)
        return key

    def wait_seconds(self) -> float | None:
        """Return how long nothing will be due; None for ever."""
        waiting = [at for key, at in self._due.items() if key not in self._running]
        return max(0.0, min(waiting) - self.clock()) if waiting else None

    def done(self, key: Key, again_seconds: float | None) -> None:
        """Note that a look went well; the next one is due then, or never if there is no more."""
        self._running.discard(key)
        self._failures.pop(key, None)
        if again_seconds is not None:
            self.put(key, again_seconds)

    def failed(self, key: Key) -> float:
        """Note that a look did not go well; return after how many seconds it is repeated."""
        self._running.discard(key)
        self._failures[key] = self._failures.get(key, 0) + 1
        delay = BACKOFF.seconds(self._failures[key])
        self.put(key, delay)
        return delay

    def __len__(self) -> int:
        return len(self._due)
