"""The roll-outs of all resources: how many are in progress, and who waits for others. Sans-I/O.

One reconciliation reads and notes without waiting in between, so no two of them take one place.
"""

from collections.abc import Callable, Sequence

from .decide.rollout import Elsewhere, Rollout
from .objects import ResourceKey


class Rollouts:
    """The roll-outs in progress, of a limited number."""

    def __init__(self, limit: int | None, wake: Callable[[ResourceKey], None]) -> None:
        """Initialise it.

        Args:
            limit: servers that are rolled out at once; None for any number.
            wake: called with a resource that waited when there may be room for it.
        """
        self._limit = limit
        self._wake = wake
        self._known: dict[ResourceKey, Rollout] = {}
        self._rolling = 0
        self._broken = 0
        #: Those that wait for others, in order; whether they get an image of the installation.
        self._queued: dict[ResourceKey, bool] = {}

    def elsewhere(self, key: ResourceKey) -> Elsewhere:
        """Return the roll-outs of all resources but one."""
        own = self._known.get(key, Rollout())
        return Elsewhere(
            limit=self._limit,
            rolling=self._rolling - len(own.rolling),
            failed=self._broken - len(own.broken),
        )

    def note(self, key: ResourceKey, found: Rollout) -> None:
        """Note the roll-out of a resource; wake those for which there is room now."""
        before = self._known.pop(key, Rollout())
        if found.rolling or found.broken:
            self._known[key] = found
        self._rolling += len(found.rolling) - len(before.rolling)
        self._broken += len(found.broken) - len(before.broken)
        was_queued = key in self._queued
        if found.is_queued:
            self._queued[key] = found.is_of_installation
        else:
            self._queued.pop(key, None)
        is_freed = (before.rolling, before.broken) != (found.rolling, found.broken)
        if is_freed or (was_queued and not found.is_queued):
            self._wake_next(key)

    def forget(self, key: ResourceKey) -> None:
        """Forget a resource that is gone, or that another operator looks after."""
        self.note(key, Rollout())

    def pass_over(self, key: ResourceKey, rolling: Sequence[str]) -> None:
        """Let others go first: a resource could not be reconciled.

        It waits again once it can be.

        Args:
            key: the resource.
            rolling: its servers whose pods are being replaced.
        """
        known = self._known.get(key, Rollout())
        still = tuple(server for server in known.rolling if server in rolling)
        self.note(key, Rollout(rolling=still, broken=known.broken))

    def _wake_next(self, noted: ResourceKey) -> None:
        if self._limit is None:
            return
        free = self._limit - self._rolling
        for key, is_of_installation in list(self._queued.items()):
            if key != noted and free > (self._broken if is_of_installation else 0):
                free -= 1
                self._wake(key)
