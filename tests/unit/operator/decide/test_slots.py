"""Servers that share pods: which are together, and what happens as they come, go and move."""

import json
from typing import Any

import pytest

from ari_proxy.operator import names
from ari_proxy.operator.decide.kept import kept_server
from ari_proxy.operator.objects import ObjectKey
from ari_proxy.operator.state import Deployed
from tests.support.shared_pods import SharedCluster, listed

SHARED = ["minimal-command-0", "minimal-ingest-0"]


def settings(cluster: SharedCluster, name: str) -> dict[str, Any]:
    found: dict[str, Any] = json.loads(cluster.of("ConfigMap", name)["data"]["config.json"])
    return found


def server_ids(cluster: SharedCluster, name: str = "minimal-ingest-0") -> list[str]:
    return [server["server_id"] for server in settings(cluster, name)["servers"]]


def settled(*servers: str, **spec: Any) -> SharedCluster:
    cluster = SharedCluster(*servers, **spec)
    cluster.until_settled()
    return cluster


def test_servers_share_one_deployment_of_each_component() -> None:
    cluster = settled("a", "b", "c")

    assert sorted(cluster.named("Deployment")) == SHARED
    assert sorted(cluster.named("ConfigMap")) == SHARED
    assert server_ids(cluster) == server_ids(cluster, "minimal-command-0") == ["a", "b", "c"]


def test_slots_have_as_many_servers_as_the_spec_says() -> None:
    cluster = settled("a", "b", "c", "d", "e", serversPerPod=2)

    assert cluster.places == {"0": ["a", "b"], "1": ["c", "d"], "2": ["e"]}


def test_slot_is_no_servers_label() -> None:
    cluster = settled("a")
    deployment = cluster.of("Deployment", "minimal-ingest-0")
    labels = deployment["spec"]["template"]["metadata"]["labels"]

    assert labels[names.SLOT] == "0"
    assert names.SERVER not in labels
    assert deployment["spec"]["selector"]["matchLabels"].items() <= labels.items()


def test_new_server_takes_the_room_that_a_removed_one_has_left() -> None:
    cluster = settled("a", "b", "c", "d", serversPerPod=2)
    cluster.serve("a", "c", "d")
    cluster.until_settled()
    assert cluster.places == {"0": ["a"], "1": ["c", "d"]}

    cluster.serve("a", "c", "d", "e")
    cluster.until_settled()
    assert cluster.places == {"0": ["a", "e"], "1": ["c", "d"]}


def test_slot_goes_with_its_last_server() -> None:
    cluster = settled("a", "b", "c", serversPerPod=2, ingest={"replicas": 2})
    cluster.serve("a", "b")
    cluster.until_settled()

    assert sorted(cluster.named("Deployment")) == SHARED
    assert sorted(cluster.named("Lease")) == ["minimal-ingest-a", "minimal-ingest-b"]


def test_places_are_known_though_the_status_is_lost() -> None:
    cluster = settled("a", "b", "c", serversPerPod=2)
    cluster.serve("b", "c")
    cluster.until_settled()
    del cluster.resource["status"]
    cluster.until_settled()

    assert cluster.places == {"0": ["b"], "1": ["c"]}


def test_places_are_known_though_the_settings_are_lost() -> None:
    cluster = settled("a", "b", "c", serversPerPod=2)
    cluster.serve("b", "c")
    cluster.until_settled()
    for key in list(cluster.children):
        del cluster.children[key]
    cluster.until_settled()

    assert cluster.places == {"0": ["b"], "1": ["c"]}


# A server that is removed


def test_removed_server_drains_while_the_others_go_on() -> None:
    cluster = settled("a", "b")
    cluster.calls = {"b": 3}
    cluster.run_pods()
    cluster.serve("a")
    cluster.until_settled()
    a, b = settings(cluster, "minimal-ingest-0")["servers"]

    assert "ingest" not in a
    assert b["ingest"] == {"final": True}
    assert cluster.plan().recheck_seconds == 5
    (draining,) = [item for item in cluster.resource["status"]["servers"] if item["name"] == "b"]
    assert (draining["slot"], draining["serverId"]) == ("0", "b")

    cluster.calls = {}
    cluster.run_pods()
    cluster.until_settled()
    assert server_ids(cluster) == ["a"]


def test_removed_server_keeps_its_password_until_it_has_drained() -> None:
    cluster = settled("a", "b")
    cluster.calls = {"b": 3}
    cluster.run_pods()
    cluster.serve("a")
    cluster.until_settled()

    assert password_paths(cluster) == ["servers/a/ari/password", "servers/b/ari/password"]
    entry = settings(cluster, "minimal-command-0")["servers"][1]
    assert entry["ari"]["password_file"].endswith("/servers/b/ari/password")


def password_paths(cluster: SharedCluster) -> list[str]:
    pod = cluster.of("Deployment", "minimal-ingest-0")["spec"]["template"]["spec"]
    (volume,) = [item for item in pod["volumes"] if item["name"] == "secrets"]
    return sorted(
        item["path"]
        for source in volume["projected"]["sources"]
        for item in source["secret"]["items"]
        if item["path"].endswith("/password")
    )


def test_drain_of_a_shared_server_times_out() -> None:
    cluster = settled("a", "b", drainTimeoutSeconds=60)
    cluster.calls = {"b": 3}
    cluster.run_pods()
    cluster.serve("a")
    cluster.until_settled()
    cluster.later(60)
    cluster.until_settled()

    assert server_ids(cluster) == ["a"]


def test_others_change_while_a_server_drains() -> None:
    cluster = settled("a", "b")
    cluster.calls = {"b": 3}
    cluster.run_pods()
    cluster.serve("a", "c")
    cluster.until_settled()

    assert server_ids(cluster) == ["a", "b", "c"]


def test_draining_server_has_a_place_of_the_slot() -> None:
    cluster = settled("a", "b", serversPerPod=2)
    cluster.calls = {"b": 3}
    cluster.run_pods()
    cluster.serve("a", "c")
    cluster.until_settled()

    assert cluster.places == {"0": ["a", "b"], "1": ["c"]}


def test_server_that_is_desired_again_is_as_before() -> None:
    cluster = settled("a", "b")
    before = cluster.of("ConfigMap", "minimal-ingest-0")["data"]
    cluster.calls = {"b": 3}
    cluster.run_pods()
    cluster.serve("a")
    cluster.until_settled()
    cluster.serve("a", "b")
    cluster.until_settled()

    assert cluster.of("ConfigMap", "minimal-ingest-0")["data"] == before


def test_deleted_resource_waits_for_its_servers_dialogs() -> None:
    cluster = settled("a", "b", drainOnDeletion=True)
    cluster.calls = {"b": 3}
    cluster.run_pods()
    since = cluster.now.isoformat()
    cluster.resource["metadata"] |= {
        "deletionTimestamp": since,
        "finalizers": ["ari-proxy.io/drain"],
    }
    steps = cluster.plan()

    assert steps.is_held
    assert steps.delete == ()
    config, deployment = steps.patches
    assert deployment.item["metadata"]["name"] == "minimal-ingest-0"
    a, b = json.loads(config.operations[1]["value"])["servers"]
    assert "ingest" not in a
    assert b["ingest"] == {"final": True}

    cluster.calls = {}
    cluster.run_pods()
    assert not cluster.plan().is_held
    cluster.settle()
    assert cluster.named("Deployment") == []


# A server that lacks something


def test_server_without_its_secret_is_left_out() -> None:
    cluster = SharedCluster("a")
    cluster.resource["spec"]["servers"] += listed("b")
    ari = {"url": "http://b/ari", "credentialsSecretRef": {"name": "late"}}
    cluster.resource["spec"]["servers"][1]["ari"] = ari
    cluster.until_settled()
    assert server_ids(cluster) == ["a"]

    cluster.secrets["late"] = {"username": "", "password": ""}
    cluster.until_settled()
    assert server_ids(cluster) == ["a", "b"]

    # What it has had stays, and the pods of the others start without it.
    del cluster.secrets["late"]
    assert cluster.plan().apply == ()
    cluster.resource["spec"]["ingest"] = {"listenerTimeoutSeconds": 17}
    cluster.until_settled()
    assert server_ids(cluster) == ["a", "b"]
    pod = cluster.of("Deployment", "minimal-ingest-0")["spec"]["template"]["spec"]
    sources = [item["secret"] for item in pod["volumes"][1]["projected"]["sources"]]
    assert {item["name"] for item in sources if item.get("optional")} == {"asterisk-ari", "late"}


def test_server_of_another_resource_is_left_to_it() -> None:
    cluster = SharedCluster("a", "b")
    cluster.rivals = {"b": "voice/elder"}
    cluster.until_settled()

    assert server_ids(cluster) == ["a"]


def test_invalid_template_leaves_the_pods_as_they_are() -> None:
    cluster = settled("a", "b")
    cluster.resource["spec"]["ingest"] = {"podTemplate": {"spec": {"containers": "x"}}}
    cluster.serve("a")
    steps = cluster.plan()

    assert steps.refusals[ObjectKey("Deployment", "minimal-ingest-0")].reason == (
        "PodTemplateInvalid"
    )
    assert (steps.apply, steps.delete, steps.patches) == ((), (), ())


NATS = {"servers": ["nats://nats:4222"]}
BUS = {"type": "NATS", "nats": NATS}
LOCKED = {**BUS, "nats": {**NATS, "userSecretRef": {"name": "bus-user"}}}


def test_slots_stay_as_they_are_while_a_secret_of_the_bus_is_missing() -> None:
    """All of a pod needs it: a new one could not start."""
    cluster = settled("a", "b", "c", serversPerPod=2, bus=BUS)
    cluster.calls = {"c": 1}
    cluster.run_pods()
    cluster.serve("a", "b", bus=LOCKED)
    cluster.until_settled()
    assert "bus-user" not in str(cluster.children)
    assert cluster.places == {"0": ["a", "b"], "1": ["c"]}

    cluster.secrets["bus-user"] = {"username": "", "password": ""}
    cluster.until_settled()
    del cluster.secrets["bus-user"]
    cluster.serve("a", "b", ingest={"image": "ingest:2"})
    cluster.until_settled()
    assert "ingest:2" not in str(cluster.of("Deployment", "minimal-ingest-0"))


def test_moving_server_stays_while_a_secret_of_the_bus_is_missing() -> None:
    cluster = settled("a", "b", bus=BUS)
    cluster.calls = {"b": 1}
    cluster.run_pods()
    cluster.serve("a", bus=LOCKED, pods="PerServer")
    cluster.until_settled()

    assert cluster.places == {"0": ["a", "b"]}
    assert "bus-user" not in str(cluster.of("Deployment", "minimal-ingest-0"))
    assert "bus-user" not in str(cluster.of("ConfigMap", "minimal-ingest-0"))


# Another slot


@pytest.mark.parametrize("replicas", [1, 2])
def test_servers_go_from_own_pods_to_shared_ones(replicas: int) -> None:
    cluster = settled("a", "b", pods="PerServer", ingest={"replicas": replicas})
    cluster.resource["spec"]["pods"] = "Shared"
    cluster.problems = {"b": "websocket: it is not connected"}
    for _ in range(3):
        cluster.step()

    assert cluster.places == {"0": ["a", "b"], "b": ["b"]}
    assert cluster.plan().recheck_seconds == 5
    cluster.problems = {}
    cluster.run_pods()
    cluster.until_settled()
    assert sorted(cluster.named("Deployment")) == SHARED
    assert sorted(cluster.named("Lease")) == ["minimal-ingest-a", "minimal-ingest-b"]


@pytest.mark.parametrize("replicas", [1, 2])
def test_servers_go_from_shared_pods_to_own_ones(replicas: int) -> None:
    cluster = settled("a", "b", ingest={"replicas": replicas})
    cluster.resource["spec"]["pods"] = "PerServer"
    cluster.step()
    assert cluster.places == {"0": ["a", "b"], "a": ["a"], "b": ["b"]}

    cluster.until_settled()
    assert cluster.places == {"a": ["a"], "b": ["b"]}
    assert "slot" not in str(cluster.resource["status"])


def test_new_pods_know_the_lease_that_the_former_ones_have() -> None:
    cluster = settled("a", ingest={"replicas": 2})
    cluster.resource["spec"] |= {"pods": "PerServer", "ingest": {"replicas": 1}}
    cluster.step()

    assert settings(cluster, "minimal-ingest-a")["lease"]["name"] == "minimal-ingest-a"
    (rule,) = cluster.of("Role", "minimal-ingest")["rules"]
    assert rule["resourceNames"] == ["minimal-ingest-a"]


def test_former_slot_goes_on_while_a_server_leaves_it() -> None:
    cluster = settled("a", "b", "c", serversPerPod=3)
    cluster.serve("a", "b", "c", serversPerPod=2)
    cluster.resource["spec"]["ingest"] = {"listenerTimeoutSeconds": 17}
    cluster.problems = {"c": "websocket: it is not connected"}
    cluster.until_settled()

    assert cluster.places == {"0": ["a", "b", "c"], "1": ["c"]}
    assert settings(cluster, "minimal-ingest-0")["ingest"]["listener_seconds"] == 17
    cluster.problems = {}
    cluster.run_pods()
    cluster.until_settled()
    assert cluster.places == {"0": ["a", "b"], "1": ["c"]}


def test_own_pods_are_left_as_they_are_until_shared_ones_serve() -> None:
    """Without a Lease new pods would take the dialogs back."""
    cluster = settled("a", "b", pods="PerServer")
    former = cluster.of("ConfigMap", "minimal-ingest-b")["data"]
    cluster.resource["spec"] |= {"pods": "Shared", "ingest": {"listenerTimeoutSeconds": 17}}
    cluster.problems = {"b": "websocket: it is not connected"}
    cluster.until_settled()

    assert cluster.places == {"0": ["a", "b"], "b": ["b"]}
    assert cluster.of("ConfigMap", "minimal-ingest-b")["data"] == former
    assert settings(cluster, "minimal-ingest-0")["ingest"]["listener_seconds"] == 17


@pytest.mark.parametrize("replicas", [1, 2])
def test_former_ingest_stays_until_its_dialogs_are_handed_over(replicas: int) -> None:
    """With a Lease it hands them over as it stops."""
    cluster = settled("a", pods="PerServer", ingest={"replicas": replicas})
    cluster.calls, cluster.clinging = {"a": 1}, {"a"}
    cluster.run_pods()
    cluster.resource["spec"]["pods"] = "Shared"
    cluster.until_settled()
    assert cluster.places == ({"0": ["a"], "a": ["a"]} if replicas == 1 else {"0": ["a"]})

    cluster.clinging = set()
    cluster.run_pods()
    cluster.until_settled()
    assert cluster.places == {"0": ["a"]}


def test_new_server_has_pods_at_once_in_a_slot_that_another_one_leaves() -> None:
    cluster = settled("b", "d", serversPerPod=2, rollout={"maxServersAtOnce": "100%"})
    cluster.problems = {"d": "websocket: it is not connected"}
    cluster.serve("b", "d", serversPerPod=1)
    cluster.step()
    cluster.serve("d", "b", "e", serversPerPod=2)
    cluster.step()

    assert "e" in cluster.observed.deployed_servers


@pytest.mark.parametrize("replicas", [1, 2])
def test_server_moves_though_its_former_pods_restart_meanwhile(replicas: int) -> None:
    cluster = settled("a", "b", "c", serversPerPod=3, ingest={"replicas": replicas})
    cluster.problems = {"c": "websocket: it is not connected"}
    cluster.serve("a", "b", "c", serversPerPod=2)
    cluster.step()
    cluster.problems = {}
    cluster.run_pods()
    cluster.restart("minimal-ingest-0")

    cluster.until_settled()
    assert cluster.places == {"0": ["a", "b"], "1": ["c"]}
    assert cluster.served == {"a", "b", "c"}


@pytest.mark.parametrize("pods", ["Shared", "PerServer"])
@pytest.mark.parametrize("replicas", [1, 2])
@pytest.mark.parametrize("steps", [1, 2, 3])
def test_servers_come_back_before_their_move_has_ended(
    pods: str, replicas: int, steps: int
) -> None:
    """An ingest without a Lease that has handed a server over never takes it back."""
    cluster = settled("a", "b", pods=pods, ingest={"replicas": replicas})
    before = cluster.places
    cluster.resource["spec"]["pods"] = "PerServer" if pods == "Shared" else "Shared"
    for _ in range(steps):
        cluster.step()
    cluster.resource["spec"]["pods"] = pods
    cluster.until_settled()

    assert cluster.places == before
    assert cluster.served == {"a", "b"}


def lacking(cluster: SharedCluster, name: str) -> None:
    """Have a server lack its Secret."""
    for server in cluster.resource["spec"]["servers"]:
        if server["name"] == name:
            server["ari"]["credentialsSecretRef"] = {"name": "late"}


def test_server_that_lacks_something_holds_no_neighbour_back_as_it_moves() -> None:
    cluster = settled("a", "b", "c", serversPerPod=3)
    cluster.serve("a", "b", "c", serversPerPod=2)
    lacking(cluster, "c")
    cluster.resource["spec"]["ingest"] = {"image": "ingest:2"}
    cluster.until_settled()
    assert cluster.places == {"0": ["a", "b", "c"]}
    assert "ingest:2" in str(cluster.of("Deployment", "minimal-ingest-0"))

    cluster.secrets["late"] = {"username": "", "password": ""}
    cluster.until_settled()
    assert cluster.places == {"0": ["a", "b"], "1": ["c"]}


@pytest.mark.parametrize("pods", ["Shared", "PerServer"])
def test_server_that_lacks_something_keeps_the_pods_that_it_has(pods: str) -> None:
    cluster = settled("a", "b", pods=pods)
    other = "PerServer" if pods == "Shared" else "Shared"
    cluster.serve("a", "b", pods=other)
    lacking(cluster, "b")
    cluster.until_settled()
    assert "b" in cluster.served
    assert len(cluster.places) == 2

    cluster.secrets["late"] = {"username": "", "password": ""}
    cluster.until_settled()
    assert cluster.places == settled("a", "b", pods=other).places


def test_own_pods_of_a_removed_server_drain_as_the_others_move() -> None:
    cluster = settled("a", "b", pods="PerServer")
    cluster.calls = {"b": 1}
    cluster.run_pods()
    cluster.serve("a", pods="Shared")
    cluster.until_settled()

    assert cluster.places == {"0": ["a"], "b": ["b"]}


# What is renamed, or can't be together


def test_renamed_server_waits_for_the_drain_of_the_former_name() -> None:
    cluster = settled("a", "b")
    cluster.calls = {"b": 1}
    cluster.run_pods()
    renamed = {**listed("b")[0], "name": "renamed"}
    cluster.resource["spec"]["servers"][1] = renamed
    cluster.until_settled()
    assert server_ids(cluster) == ["a", "b"]

    cluster.calls = {}
    cluster.run_pods()
    cluster.until_settled()
    assert server_ids(cluster) == ["a", "renamed"]


def test_renamed_server_waits_for_the_calls_of_its_former_name() -> None:
    """A process refuses two servers of one server_id, and each name has a Lease of its own."""
    cluster = settled("a", "b")
    cluster.calls = {"b": 1, "renamed": 1}
    cluster.run_pods()
    cluster.resource["spec"]["servers"][1] |= {"name": "renamed", "serverId": "b"}
    cluster.until_settled()
    assert cluster.places == {"0": ["a", "b"]}
    refusal = cluster.plan().refusals[ObjectKey("Deployment", "minimal-ingest-renamed")]
    assert refusal.reason == "AwaitingDrain"

    cluster.calls = {}
    cluster.run_pods()
    cluster.until_settled()
    assert server_ids(cluster) == server_ids(cluster, "minimal-command-0") == ["a", "b"]
    assert cluster.places == {"0": ["a", "renamed"]}


def test_renamed_server_has_the_place_of_its_former_name() -> None:
    cluster = settled("a", "b", "c", serversPerPod=2)
    cluster.calls = {"a": 1}
    cluster.run_pods()
    cluster.resource["spec"]["servers"][0] |= {"name": "renamed", "serverId": "a"}
    cluster.until_settled()
    cluster.calls = {}
    cluster.run_pods()
    cluster.until_settled()

    assert cluster.places == {"0": ["b", "renamed"], "1": ["c"]}


@pytest.mark.parametrize("url", ["http://b/ari", "http://elsewhere/ari"])
def test_renamed_server_with_a_lease_waits_for_the_drain(url: str) -> None:
    """A standby of the former name would go on with its Lease."""
    cluster = settled("a", "b", ingest={"replicas": 2})
    cluster.calls = {"b": 1}
    cluster.run_pods()
    renamed = {"name": "renamed", "serverId": "b"}
    cluster.resource["spec"]["servers"][1] |= renamed
    cluster.resource["spec"]["servers"][1]["ari"]["url"] = url
    cluster.until_settled()
    refusal = cluster.plan().refusals[ObjectKey("Deployment", "minimal-ingest-renamed")]
    assert refusal.reason == "AwaitingDrain"
    assert cluster.places == {"0": ["a", "b"]}

    cluster.calls = {}
    cluster.run_pods()
    cluster.until_settled()
    assert cluster.places == {"0": ["a", "renamed"]}


def test_server_waits_for_the_drain_of_another_one_of_its_new_asterisk() -> None:
    """It keeps its former Asterisk: a process refuses two servers of one application."""
    cluster = settled("a", "b")
    cluster.calls = {"b": 1}
    cluster.run_pods()
    cluster.serve("a")
    cluster.resource["spec"]["servers"][0]["ari"]["url"] = "http://b/ari"
    cluster.until_settled()
    urls = [item["ari"]["rest_url"] for item in settings(cluster, "minimal-ingest-0")["servers"]]
    assert urls == ["http://a/ari", "http://b/ari"]

    cluster.calls = {}
    cluster.run_pods()
    cluster.until_settled()
    (a,) = settings(cluster, "minimal-ingest-0")["servers"]
    assert (a["server_id"], a["ari"]["rest_url"]) == ("a", "http://b/ari")


def test_servers_of_one_asterisk_and_application_are_refused() -> None:
    cluster = SharedCluster("a", "b")
    a, b = cluster.resource["spec"]["servers"]
    b["ari"] = a["ari"]
    steps = cluster.plan()
    refusal = steps.refusals[ObjectKey("Deployment", "minimal-ingest-0")]

    assert refusal.reason == "ServersNotShareable"
    assert "a and b are the application demo of the same Asterisk" in refusal.message
    assert not [item for item in steps.apply if item["kind"] == "Deployment"]


def test_servers_that_connect_to_other_certificates_are_refused() -> None:
    cluster = SharedCluster("a", "b")
    for server in cluster.resource["spec"]["servers"]:
        certificate = {"certificateSecretRef": {"name": f"tls-{server['name']}"}}
        server["ari"] |= {"connection": "Outbound", "outbound": certificate}
    refusal = cluster.plan().refusals[ObjectKey("Deployment", "minimal-ingest-0")]

    assert "a and b have other certificates" in refusal.message
    assert "certificateSecretRef" in refusal.message


def test_servers_may_connect_to_one_certificate() -> None:
    cluster = SharedCluster("a", "b")
    cluster.secrets["tls"] = {"tls.crt": "", "tls.key": ""}
    for server in cluster.resource["spec"]["servers"]:
        certificate = {"certificateSecretRef": {"name": "tls"}}
        server["ari"] |= {"connection": "Outbound", "outbound": certificate}
    cluster.until_settled()

    assert sorted(cluster.named("Service")) == [
        f"minimal-{kind}-{name}" for kind in ("command", "ingest") for name in ("a", "b")
    ]
    for kind in ("command", "ingest"):
        selector = cluster.of("Service", f"minimal-{kind}-a")["spec"]["selector"]
        pod = cluster.of("Deployment", f"minimal-{kind}-0")["spec"]["template"]
        assert selector.items() <= pod["metadata"]["labels"].items()
        assert "ari" in port_names(pod)

    # One that drains still has its listener.
    cluster.calls = {"a": 1, "b": 1}
    cluster.run_pods()
    cluster.serve("c")
    cluster.until_settled()
    pod = cluster.of("Deployment", "minimal-ingest-0")["spec"]["template"]
    assert "ari" in port_names(pod)
    assert "minimal-ingest-a" in cluster.named("Service")


def port_names(pod: dict[str, Any]) -> list[str]:
    return [port["name"] for port in pod["spec"]["containers"][0]["ports"]]


# What nobody watches


def test_pods_are_asked_again_since_no_event_tells_of_one_server() -> None:
    assert settled("a").plan().recheck_seconds == 10
    assert settled("a", pods="PerServer").plan().recheck_seconds is None


def test_removed_server_in_two_slots_drains_where_its_calls_are() -> None:
    cluster = settled("a", "b", pods="PerServer")
    cluster.resource["spec"]["pods"] = "Shared"
    cluster.calls, cluster.clinging = {"b": 1}, {"b"}
    cluster.step()
    cluster.serve("a")
    cluster.until_settled()
    assert cluster.places == {"0": ["a"], "b": ["b"]}
    assert [item["name"] for item in cluster.resource["status"]["servers"]] == ["a", "b"]

    cluster.calls = {}
    cluster.run_pods()
    cluster.until_settled()
    assert cluster.places == {"0": ["a"]}


# Roll-outs


def test_slots_are_rolled_out_one_after_the_other() -> None:
    cluster = settled("a", "b", "c", serversPerPod=2, rollout={"maxServersAtOnce": 1})
    cluster.resource["spec"]["ingest"] = {"image": "ingest:2"}
    cluster.settle()
    rolled = [
        name
        for name in ("minimal-ingest-0", "minimal-ingest-1")
        if "ingest:2" in str(cluster.of("Deployment", name)["spec"])
    ]

    assert len(rolled) == 1
    cluster.until_settled()
    assert "ingest:2" in str(cluster.of("Deployment", "minimal-ingest-1")["spec"])


def test_lease_of_a_drained_server_stays_until_its_slot_is_rolled_out() -> None:
    replicas, at_once = {"replicas": 2}, {"maxServersAtOnce": 1}
    cluster = settled("a", "b", "c", "d", serversPerPod=2, ingest=replicas, rollout=at_once)
    cluster.serve("a", "c")
    cluster.settle()
    places = cluster.places
    leases = {name.removeprefix("minimal-ingest-") for name in cluster.named("Lease")}

    assert sorted(map(len, places.values())) == [1, 2]
    assert leases == {name for slot in places.values() for name in slot}
    cluster.until_settled()
    assert sorted(cluster.named("Lease")) == ["minimal-ingest-a", "minimal-ingest-c"]


def test_nothing_is_kept_of_a_server_that_a_slot_does_not_have() -> None:
    cluster = SharedCluster("a", "b")
    cluster.until_settled()

    gone = Deployed("z", "0", "z")
    assert kept_server(cluster.observed, gone, "ingest", is_final=True) is None
