"""The newest version of each object is kept, and found by the resource that it belongs to."""

from typing import Any

import pytest

from ari_proxy.operator import names
from ari_proxy.operator.objects import ResourceKey
from ari_proxy.operator.store import (
    MAX_KEPT_BYTES,
    Store,
    differing,
    is_no_renewal,
    is_whole,
    version_of,
)

OWNER = ResourceKey("voice", "minimal")


def config_map(version: int | str, name: str = "a", owner: str = "minimal") -> dict[str, Any]:
    return {
        "kind": "ConfigMap",
        "metadata": {
            "name": name,
            "namespace": "voice",
            "labels": {names.INSTANCE: owner},
            "resourceVersion": str(version),
            "managedFields": [{"manager": names.MANAGER, "operation": "Apply"}],
        },
        "data": {"version": str(version)},
    }


def versions(store: Store, owner: ResourceKey = OWNER) -> list[str]:
    return [item["data"]["version"] for item in store.of(owner)]


def test_newer_version_replaces_an_older_one_only() -> None:
    store = Store()

    assert store.put(config_map(9))
    assert store.put(config_map(10))
    assert not store.put(config_map(10))
    assert not store.put(config_map(9))
    assert versions(store) == ["10"]


def test_object_without_a_version_is_always_news() -> None:
    store = Store()
    store.put(config_map(10))

    assert store.put(config_map(""))
    assert store.put(config_map(""))
    assert version_of(config_map("opaque")) == 0


def test_deletion_forgets_an_object() -> None:
    store = Store()
    store.put(config_map(9))

    assert store.remove(config_map(10))
    assert not store.remove(config_map(10))
    assert versions(store) == []


def test_late_deletion_does_not_concern_an_object_that_was_made_anew() -> None:
    store = Store()
    store.put(config_map(12))

    assert not store.remove(config_map(11))
    assert versions(store) == ["12"]


def test_answer_after_the_deletion_was_told_brings_nothing_back() -> None:
    """A watch tells changes in their order, and an object's end only once."""
    store = Store()
    store.put(config_map(3))
    store.remove(config_map(4))
    assert not store.answered(config_map(2))
    assert versions(store) == []

    assert store.answered(config_map(5))
    assert versions(store) == ["5"]


def test_answer_is_known_before_the_watch_tells_it() -> None:
    store = Store()
    store.put(config_map(3, name="other"))
    assert store.answered(config_map(4))
    assert store.answered(config_map(5))
    assert not store.answered(config_map(4))
    assert not store.put(config_map(5))
    assert versions(store) == ["5", "3"]


def test_own_deletion_forgets_at_once() -> None:
    store = Store()
    store.put(config_map(9))
    store.discard(ResourceKey("voice", "a"))
    store.discard(ResourceKey("voice", "unknown"))

    assert versions(store) == []


def test_object_moves_with_its_label() -> None:
    store = Store()
    store.put(config_map(1))
    store.put(config_map(2, owner="other"))

    assert versions(store) == []
    assert versions(store, ResourceKey("voice", "other")) == ["2"]


def test_objects_are_found_by_their_own_name_too() -> None:
    store = Store()
    store.put(config_map(7))
    found = store.get(ResourceKey("voice", "a"))

    assert found is not None
    assert found["data"] == {"version": "7"}
    assert store.get(ResourceKey("voice", "b")) is None
    assert store.version(ResourceKey("voice", "a")) == 7
    assert store.version(ResourceKey("voice", "b")) == 0
    assert store.keys() == {ResourceKey("voice", "a")}


def test_what_no_reconciliation_reads_is_not_kept() -> None:
    store = Store()
    item = config_map(1)
    others = {"manager": "kubectl-set", "operation": "Update"}
    item["metadata"]["managedFields"] += [
        others,
        {"manager": "kube-controller-manager", "operation": "Update", "subresource": "status"},
    ]
    store.put(item)
    (kept,) = store

    assert kept["metadata"]["managedFields"] == [others]


@pytest.mark.parametrize("size", [MAX_KEPT_BYTES, 700_000])
def test_of_a_large_object_only_the_head_is_kept(size: int) -> None:
    store = Store()
    store.put({**config_map(1), "data": {"large": "x" * size}})
    (kept,) = store.of(OWNER)

    assert "data" not in kept
    assert not is_whole(kept)
    assert kept["kind"] == "ConfigMap"
    assert kept["metadata"]["labels"] == {names.INSTANCE: "minimal"}


def test_lists_tell_whose_objects_differ() -> None:
    before, after = Store(), Store()
    for store in (before, after):
        store.put(config_map(1, "same", "same"))
    before.put(config_map(1, "changed", "changed"))
    after.put(config_map(2, "changed", "changed"))
    before.put(config_map(1, "gone", "gone"))
    after.put(config_map(1, "new", "new"))
    before.put(config_map(1, "moved", "from"))
    after.put(config_map(2, "moved", "to"))

    assert {key.name for key in differing(before, after)} == {
        "changed",
        "gone",
        "new",
        "from",
        "to",
    }


def held(version: int, holder: str, renewed_at: str) -> dict[str, Any]:
    spec = {"holderIdentity": holder, "renewTime": renewed_at}
    return {**config_map(version), "kind": "Lease", "data": None, "spec": spec}


def test_renewal_of_a_lease_is_no_news() -> None:
    before = held(1, "a", "12:00")

    assert not is_no_renewal(before, held(2, "a", "12:01"))
    assert is_no_renewal(before, held(2, "b", "12:01"))
    assert is_no_renewal(None, before)
    assert is_no_renewal(config_map(1), config_map(2))


def test_store_without_a_limit_keeps_all_fields() -> None:
    store = Store(max_bytes=None)
    large = {"large": "x" * (MAX_KEPT_BYTES + 1)}
    store.put({**config_map(1), "data": large})
    (kept,) = store

    assert kept["data"] == large
    assert is_whole(kept)
