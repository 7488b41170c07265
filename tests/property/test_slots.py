"""Whatever is changed of a resource whose servers share pods, no server is left without pods."""

from collections.abc import Sequence
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

from tests.support.shared_pods import SharedCluster

NAMES = ["a", "b", "c", "d", "e"]
SERVERS = st.lists(st.sampled_from(NAMES), unique=True, min_size=1)
CHANGES = st.lists(
    st.fixed_dictionaries(
        {
            "servers": SERVERS,
            "pods": st.sampled_from(["Shared", "PerServer"]),
            "size": st.integers(1, 3),
            "replicas": st.integers(1, 2),
            "unserved": st.sets(st.sampled_from(NAMES), max_size=2),
            "busy": st.sets(st.sampled_from(NAMES), max_size=3),
            "lacking": st.sets(st.sampled_from(NAMES), max_size=1),
            "evicted": st.booleans(),
            "at_once": st.sampled_from(["25%", "100%"]),
            "steps": st.integers(1, 3),
        }
    ),
    min_size=1,
    max_size=4,
)


def change(cluster: SharedCluster, wanted: dict[str, Any]) -> None:
    cluster.problems = dict.fromkeys(wanted["unserved"], "websocket: it is not connected")
    cluster.calls = dict.fromkeys(wanted["busy"], 1)
    cluster.run_pods()
    cluster.serve(
        *wanted["servers"],
        pods=wanted["pods"],
        serversPerPod=wanted["size"],
        ingest={"replicas": wanted["replicas"]},
        rollout={"maxServersAtOnce": wanted["at_once"]},
    )
    for server in cluster.resource["spec"]["servers"]:
        if server["name"] in wanted["lacking"]:
            server["ari"]["credentialsSecretRef"] = {"name": "late"}
    ingests = [name for name in cluster.named("Deployment") if "-ingest-" in name]
    if wanted["evicted"] and ingests:
        cluster.restart(ingests[0])


def deployed(cluster: SharedCluster) -> set[str]:
    return set(cluster.observed.deployed_servers)


def kept(cluster: SharedCluster, servers: Sequence[str]) -> set[str]:
    """Return the servers that have pods now and must have some later."""
    drains = {name for name, number in cluster.calls.items() if number}
    return deployed(cluster) & ({*servers} | drains)


@settings(max_examples=25, deadline=None)
@given(CHANGES)
def test_no_server_is_without_pods_while_it_is_desired_or_has_calls(
    changes: list[dict[str, Any]],
) -> None:
    cluster = SharedCluster("a")
    cluster.until_settled()
    for wanted in changes:
        change(cluster, wanted)
        for _ in range(wanted["steps"]):
            before = kept(cluster, wanted["servers"])
            cluster.step()
            assert before <= deployed(cluster)
            # One that comes to a slot may wait for the roll-outs of others.
            is_paced = wanted["at_once"] != "100%"
            assert is_paced or {*wanted["servers"]} - wanted["lacking"] <= deployed(cluster)


@settings(max_examples=25, deadline=None)
@given(CHANGES)
def test_it_settles_with_each_server_in_one_place(changes: list[dict[str, Any]]) -> None:
    cluster = SharedCluster("a")
    cluster.until_settled()
    for wanted in changes:
        change(cluster, wanted)
        cluster.step()
    cluster.problems, cluster.calls = {}, {}
    cluster.secrets["late"] = {"username": "", "password": ""}
    cluster.run_pods()
    cluster.until_settled()
    places = cluster.places
    size = changes[-1]["size"] if changes[-1]["pods"] == "Shared" else 1

    assert sorted(name for slot in places.values() for name in slot) == sorted(
        changes[-1]["servers"]
    )
    assert all(len(names) <= size for names in places.values())
    assert len(cluster.named("Deployment")) == 2 * len(places)
    assert cluster.served == {*changes[-1]["servers"]}
