"""Objects of one watch, as last delivered, by the resource that they belong to. Sans-I/O.

A reconciliation reads them here instead of asking the API server. So it may see an object as it was
some moments ago, which is safe for these reasons:

- An older version never replaces a newer one, and the answer to an own write is kept at once. So a
  reconciliation sees what the one before it has written. An answer that comes after the watch has
  told of the object's end is not kept: nothing would remove it any more.
- Whatever it misses arrives as an event, and leads to another one.
- Writes are server-side applies: to repeat one changes nothing.

They are kept encoded: as dictionaries they would take five times the memory. Of `managedFields`
only what others have set is kept.
"""

from collections.abc import Iterator
from typing import Final, NamedTuple

import msgspec

from . import names
from .objects import Object, ResourceKey, foreign_fields, labels_of

#: Of a larger object only the head is kept. None of the operator's own is as large: somebody has
#: changed it. Whoever needs the rest reads it anew.
MAX_KEPT_BYTES: Final = 128 * 1024
#: A field of those of which only the head is kept.
_HEAD_ONLY: Final = "isHeadOnly"


class _Kept(NamedTuple):
    version: int
    owner: ResourceKey
    content: bytes


class Store:
    """The newest known version of each object."""

    def __init__(self, max_bytes: int | None = MAX_KEPT_BYTES) -> None:
        """Initialise it; of an object of more than `max_bytes` only the head is kept."""
        self._max_bytes = max_bytes
        self._kept: dict[ResourceKey, _Kept] = {}
        self._by_owner: dict[ResourceKey, set[ResourceKey]] = {}
        #: The newest version that was listed or told. Changes of a kind are told in their order.
        self._told = 0

    def put(self, item: Object) -> bool:
        """Keep an object that was listed or told of.

        Returns:
            False if this version, or a newer one, is known already.
        """
        self.told(version_of(item))
        return self._keep(item)

    def answered(self, item: Object) -> bool:
        """Keep an object that a request was answered with.

        Returns:
            False if this version, or a newer one, is known already, or that it was deleted since.
        """
        if _place(item) not in self._kept and 0 < version_of(item) <= self._told:
            return False
        return self._keep(item)

    def told(self, version: int) -> None:
        """Note that all changes up to a version are known."""
        self._told = max(self._told, version)

    def _keep(self, item: Object) -> bool:
        key, version = _place(item), version_of(item)
        known = self._kept.get(key)
        if known is not None and 0 < version <= known.version:
            return False
        self._drop(key)
        owner = owner_of(item)
        self._kept[key] = _Kept(version, owner, _encoded(item, self._max_bytes))
        self._by_owner.setdefault(owner, set()).add(key)
        return True

    def remove(self, item: Object) -> bool:
        """Forget a deleted object; return False if it is unknown, or has been created anew."""
        key, version = _place(item), version_of(item)
        self.told(version)
        known = self._kept.get(key)
        if known is None or 0 < version < known.version:
            return False
        self._drop(key)
        return True

    def discard(self, key: ResourceKey) -> None:
        """Forget an object that this process has deleted."""
        self._drop(key)

    def of(self, owner: ResourceKey) -> Iterator[Object]:
        """Yield the objects that are labelled as a resource's."""
        for key in sorted(self._by_owner.get(owner, ())):
            yield msgspec.json.decode(self._kept[key].content)

    def get(self, key: ResourceKey) -> Object | None:
        """Return the object of this namespace and name, if it is known."""
        known = self._kept.get(key)
        return msgspec.json.decode(known.content) if known is not None else None

    def version(self, key: ResourceKey) -> int:
        """Return the known version of an object; 0 if it is unknown."""
        known = self._kept.get(key)
        return known.version if known is not None else 0

    def keys(self) -> set[ResourceKey]:
        """Return namespace and name of every object."""
        return set(self._kept)

    def heads(self) -> dict[ResourceKey, tuple[ResourceKey, int]]:
        """Return owner and version of each object."""
        return {key: (kept.owner, kept.version) for key, kept in self._kept.items()}

    def __iter__(self) -> Iterator[Object]:
        for kept in self._kept.values():
            yield msgspec.json.decode(kept.content)

    def _drop(self, key: ResourceKey) -> None:
        known = self._kept.pop(key, None)
        if known is None:
            return
        siblings = self._by_owner[known.owner]
        siblings.discard(key)
        if not siblings:
            del self._by_owner[known.owner]


def differing(before: Store, after: Store) -> set[ResourceKey]:
    """Return the owners of the objects of which two stores have different versions."""
    changed = before.heads().items() ^ after.heads().items()
    return {owner for _, (owner, _) in changed}


def owner_of(item: Object) -> ResourceKey:
    """Return the resource that an object belongs to by its label; its name is '' without one."""
    return ResourceKey(_place(item).namespace, labels_of(item).get(names.INSTANCE, ""))


def is_whole(item: Object) -> bool:
    """Return whether a kept object has its spec or data; not if it was too large."""
    return _HEAD_ONLY not in item


def is_no_renewal(before: Object | None, item: Object) -> bool:
    """Return whether more than a Lease's time has changed, which its holder writes all the time."""
    if before is None or item["kind"] != "Lease":
        return True
    return _without_time(before) != _without_time(item)


def version_of(item: Object) -> int:
    """Return an object's version, which grows with each change (KEP-5504); 0 if it has none."""
    version = item["metadata"].get("resourceVersion", "")
    return int(version) if version.isdecimal() else 0


def _place(item: Object) -> ResourceKey:
    return ResourceKey(item["metadata"].get("namespace", ""), item["metadata"]["name"])


def _encoded(item: Object, max_bytes: int | None) -> bytes:
    metadata = {**item["metadata"]}
    if metadata.pop("managedFields", None) and (others := foreign_fields(item)):
        metadata["managedFields"] = others
    content = msgspec.json.encode({**item, "metadata": metadata})
    if max_bytes is None or len(content) <= max_bytes:
        return content
    kept = {name: metadata.get(name) for name in ("name", "namespace", "uid", "ownerReferences")}
    kept |= {"labels": labels_of(item), "resourceVersion": metadata.get("resourceVersion", "")}
    return msgspec.json.encode({**_head(item), "metadata": kept, _HEAD_ONLY: True})


def _head(item: Object) -> Object:
    return {name: item.get(name) for name in ("apiVersion", "kind")}


def _without_time(lease: Object) -> Object:
    metadata = {**lease["metadata"], "resourceVersion": "", "managedFields": ()}
    return {**lease, "metadata": metadata, "spec": {**(lease.get("spec") or {}), "renewTime": ""}}
