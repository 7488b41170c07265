"""When to reconcile which resource: one entry per resource, whatever happens to it. Sans-I/O.

A resource is reconciled by one worker at a time. A change during its reconciliation leads to
another one; a failed reconciliation is retried after a pause that doubles.
"""

from dataclasses import dataclass, field
from typing import Final

from ari_proxy.backoff import Backoff
from ari_proxy.clock import Clock

from .objects import ResourceKey

#: Changes come in bursts; one reconciliation covers a burst.
DEBOUNCE_SECONDS: Final = 0.2
BACKOFF: Final = Backoff(1.0, 120.0)


@dataclass(slots=True)
class Schedule:
    """Due times by resource, on `clock` (monotonic seconds)."""

    clock: Clock
    _due: dict[ResourceKey, float] = field(default_factory=dict)
    _running: set[ResourceKey] = field(default_factory=set)
    _failures: dict[ResourceKey, int] = field(default_factory=dict)

    def put(self, key: ResourceKey, delay: float = DEBOUNCE_SECONDS) -> None:
        """Schedule a resource after a delay in seconds; an earlier due time stays."""
        at = self.clock() + delay
        self._due[key] = min(at, self._due.get(key, at))

    def start_next(self) -> ResourceKey | None:
        """Return the resource that has been due longest and mark it as running, or None."""
        now = self.clock()
        due = [(at, key) for key, at in self._due.items() if at <= now and key not in self._running]
        if not due:
            return None
        _, key = min(due)
        del self._due[key]
        self._running.add(key)
        return key

    def wait_seconds(self) -> float | None:
        """Return the seconds until a resource is due; None if none is scheduled."""
        waiting = [at for key, at in self._due.items() if key not in self._running]
        return max(0.0, min(waiting) - self.clock()) if waiting else None

    def done(self, key: ResourceKey, again_seconds: float | None) -> None:
        """End a successful run; schedule the next one unless `again_seconds` is None."""
        self._running.discard(key)
        self._failures.pop(key, None)
        if again_seconds is not None:
            self.put(key, again_seconds)

    def failed(self, key: ResourceKey) -> float:
        """End a failed run; return the seconds until its retry."""
        self._running.discard(key)
        self._failures[key] = self._failures.get(key, 0) + 1
        delay = BACKOFF.seconds(self._failures[key])
        self.put(key, delay)
        return delay

    def __len__(self) -> int:
        return len(self._due)
