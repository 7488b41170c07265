"""Which failed queries of pods are new, so that each is logged once. Sans-I/O."""

from ari_proxy.operator.objects import ResourceKey
from ari_proxy.operator.state import Observed, QueryFailure


class QueryFailures:
    """Remembers the failures of each resource: a drain repeats its queries every few seconds."""

    def __init__(self) -> None:
        self._former: dict[ResourceKey, frozenset[QueryFailure]] = {}

    def new(self, key: ResourceKey, observed: Observed) -> list[QueryFailure]:
        """Return the failures that the resource's former observation did not have."""
        former = self._former.pop(key, frozenset())
        if observed.query_failures:
            self._former[key] = observed.query_failures
        return sorted(observed.query_failures - former)

    def forget(self, key: ResourceKey) -> None:
        """Forget a resource that no longer exists."""
        self._former.pop(key, None)
