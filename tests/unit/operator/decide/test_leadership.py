"""Whether anybody is active, by the Lease and by what the pods say."""

from typing import Any

import pytest

from ari_proxy.operator import names
from ari_proxy.operator.decide.leadership import is_unled, unled_ingests
from tests.support.resources import Cluster, labels_of, pod

INGEST = "standby-ingest-asterisk-a"
FIRST, SECOND = f"{INGEST}-1", f"{INGEST}-2"


def served(holder: str | None = f"{FIRST}_x8d", **status: Any) -> Cluster:
    """Return a cluster with two ingest pods and a Lease."""
    cluster = Cluster("standby")
    cluster.settle()
    if holder is not None:
        cluster.of("Lease", INGEST)["spec"] = {"holderIdentity": holder}
    for name in (FIRST, SECOND):
        found = pod(name, labels=labels_of("asterisk-a"), **status)
        found["metadata"]["annotations"] = {names.LEASE: "true"}
        cluster.pods.append(found)
    return cluster


def asked(cluster: Cluster) -> list[str]:
    return [query.name for query in unled_ingests(cluster.observed)]


def test_pods_are_not_asked_while_the_lease_names_one_of_them() -> None:
    assert asked(served()) == []


@pytest.mark.parametrize("holder", [None, "", "x", f"{INGEST}-3_x", f"{SECOND}0_x"])
def test_pods_are_asked_where_the_lease_names_none_of_them(holder: str | None) -> None:
    assert asked(served(holder)) == [FIRST, SECOND]


def test_pods_are_asked_where_the_lease_is_gone() -> None:
    cluster = served()
    del cluster.children[next(key for key in cluster.children if key.kind == "Lease")]

    assert asked(cluster) == [FIRST, SECOND]


def test_pods_that_need_no_lease_are_not_asked() -> None:
    cluster = served("")
    for item in cluster.pods:
        del item["metadata"]["annotations"]

    assert asked(cluster) == []


@pytest.mark.parametrize(
    ("active", "expected"),
    [
        ({FIRST: False, SECOND: False}, True),
        ({FIRST: True, SECOND: False}, False),
        ({FIRST: False}, False),  # The other one has not answered.
        ({}, False),
    ],
)
def test_nobody_is_active_if_every_pod_says_so(active: dict[str, bool], *, expected: bool) -> None:
    cluster = served("")
    cluster.active = active

    assert is_unled(cluster.observed, "asterisk-a") == expected


def test_server_whose_pods_have_not_started_is_not_said_to_have_nobody_active() -> None:
    assert not is_unled(served("", phase="Pending").observed, "asterisk-a")
