"""All AriProxies as last seen, with an index of the servers that they serve. Sans-I/O.

Without the index each reconciliation would have to read all of them, to find those that serve the
same server_id on the same bus.
"""

from collections.abc import Iterable
from collections.abc import Set as AbstractSet

import msgspec

from .decide.rivals import ServerClaim, claims
from .model import AriProxy, parse
from .objects import Object, ResourceKey
from .store import Store


class Proxies:
    """The resources, and which of them serve a server_id on a bus."""

    def __init__(self) -> None:
        # Whole, however large: with many servers the status is. Without its spec a resource could
        # not be reconciled, nor hold its server_ids.
        self._store = Store(max_bytes=None)
        self._claims: dict[ResourceKey, frozenset[ServerClaim]] = {}
        self._holders: dict[ServerClaim, set[ResourceKey]] = {}

    def get(self, key: ResourceKey) -> Object | None:
        """Return a resource, or None if there is none."""
        return self._store.get(key)

    def keys(self) -> set[ResourceKey]:
        """Return the keys of all resources."""
        return self._store.keys()

    def put(self, resource: Object) -> set[ResourceKey]:
        """Keep a resource; return those whose reconciliation its news may concern."""
        if not self._store.put(resource):
            return set()
        key = _key(resource)
        return {key} | self._claim(key, _claims_of(resource))

    def remove(self, resource: Object) -> set[ResourceKey]:
        """Forget a deleted resource; return those whose reconciliation that may concern."""
        if not self._store.remove(resource):
            return set()
        return self._forgotten(_key(resource))

    def retain(
        self, listed: AbstractSet[ResourceKey], version: int, namespace: str | None = None
    ) -> set[ResourceKey]:
        """Forget resources that a list lacks; return those whose reconciliation may differ.

        Args:
            listed: the keys of all resources, as listed.
            version: the list's resourceVersion; what is newer stays.
            namespace: the list's; None for all namespaces.
        """
        concerned: set[ResourceKey] = set()
        for key in self.keys() - listed:
            is_covered = namespace in {None, key.namespace}
            if is_covered and self._store.version(key) <= version:
                self._store.discard(key)
                concerned |= self._forgotten(key)
        return concerned

    def holding(self, wanted: Iterable[ServerClaim]) -> list[AriProxy]:
        """Return the resources that serve any of these servers."""
        keys = {key for claim in wanted for key in self._holders.get(claim, ())}
        found = (self._store.get(key) for key in sorted(keys))
        return [parse(resource) for resource in found if resource is not None]

    def _claim(self, key: ResourceKey, new: frozenset[ServerClaim]) -> set[ResourceKey]:
        """Note what a resource serves; return all who serve what it has begun or ceased to."""
        changed = self._claims.get(key, frozenset()) ^ new
        concerned: set[ResourceKey] = set()
        for claim in changed:
            holders = self._holders.setdefault(claim, set())
            concerned |= holders
            holders.symmetric_difference_update({key})
            if not holders:
                del self._holders[claim]
        self._claims[key] = new
        return concerned - {key}

    def _forgotten(self, key: ResourceKey) -> set[ResourceKey]:
        concerned = self._claim(key, frozenset())
        del self._claims[key]
        return {key} | concerned


def _key(resource: Object) -> ResourceKey:
    return ResourceKey(resource["metadata"].get("namespace", ""), resource["metadata"]["name"])


def _claims_of(resource: Object) -> frozenset[ServerClaim]:
    try:
        return claims(parse(resource))
    except msgspec.ValidationError:  # Of a former version of the contract; it serves nothing.
        return frozenset()
