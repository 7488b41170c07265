"""What is done to a cluster, from what is seen of it."""

from datetime import timedelta
from typing import Any

import pytest

from tests.support.resources import Cluster, pod

INGEST, COMMAND = "minimal-ingest-asterisk-a", "minimal-command-asterisk-a"
SECOND = {
    "name": "b",
    "ari": {"url": "http://b/ari", "credentialsSecretRef": {"name": "asterisk-ari"}},
    "applications": ["demo"],
}


def settled(sample: str = "minimal", **spec: Any) -> Cluster:
    cluster = Cluster(sample, **spec)
    cluster.settle()
    return cluster


def test_looking_again_does_nothing() -> None:
    for sample in ("minimal", "standby", "rabbitmq"):
        cluster = settled(sample)
        steps = cluster.plan()
        assert (steps.apply, steps.delete) == ((), ())
        assert steps.recheck_seconds is None


def test_what_others_have_set_is_left_alone() -> None:
    cluster = settled()
    live = cluster.of("Deployment", INGEST)
    live["metadata"]["annotations"]["deployment.kubernetes.io/revision"] = "1"
    live["spec"]["template"]["spec"]["dnsPolicy"] = "ClusterFirst"
    live["spec"]["template"]["spec"]["containers"][0]["terminationMessagePath"] = "/dev/log"

    assert cluster.plan().apply == ()


def test_what_the_api_server_leaves_out_for_it_is_empty_is_not_missed() -> None:
    template: dict[str, Any] = {"spec": {"nodeSelector": {}, "tolerations": []}}
    cluster = settled(ingest={"podTemplate": template})
    pod_spec = cluster.of("Deployment", INGEST)["spec"]["template"]["spec"]
    for name in template["spec"]:
        del pod_spec[name]

    assert cluster.plan().apply == ()


def test_what_was_deleted_comes_back() -> None:
    cluster = settled("standby")
    for key in list(cluster.children):
        del cluster.children[key]
        assert cluster.settle() == [key]


@pytest.mark.parametrize(
    ("kind", "change"),
    [
        ("Deployment", lambda item: item["spec"].update(replicas=7)),
        ("Deployment", lambda item: item["spec"]["template"]["spec"].update(volumes=[])),
        ("ConfigMap", lambda item: item["data"].update({"config.json": "{}"})),
        ("ConfigMap", lambda item: item["metadata"]["labels"].clear()),
    ],
)
def test_what_was_changed_is_put_right(kind: str, change: Any) -> None:
    cluster = settled()
    change(cluster.of(kind, INGEST))

    assert cluster.settle() == [(kind, INGEST)]
    assert cluster.plan().apply == ()


def test_field_that_is_no_longer_wanted_goes() -> None:
    cluster = settled(command={"podTemplate": {"metadata": {"annotations": {"team": "voice"}}}})
    cluster.resource["spec"]["command"] = {}

    assert ("Deployment", COMMAND) in cluster.settle()


def test_former_wishes_go() -> None:
    cluster = settled("standby", monitoring={"podMonitor": {"enabled": True}})
    cluster.resource["spec"] |= {"command": {"replicas": 1}, "monitoring": {}}
    cluster.settle()

    assert sorted(cluster.deleted) == [
        ("PodDisruptionBudget", "standby-command-asterisk-a"),
        ("PodMonitor", "standby"),
    ]


def test_suspended_resource_is_left_alone() -> None:
    cluster = settled(suspend=True)
    assert cluster.children == {}


# Standing by


def test_lease_comes_with_the_second_pod_and_stays() -> None:
    cluster = settled()
    assert cluster.named("Lease") == []
    cluster.resource["spec"]["ingest"] = {"replicas": 2}
    cluster.settle()
    assert cluster.named("Lease") == [INGEST]
    cluster.resource["spec"]["ingest"] = {"replicas": 1}
    cluster.settle()

    # A standby of the old template would take the calls back from a pod without a Lease.
    assert cluster.named("Lease") == [INGEST]
    assert cluster.named("Role") == ["minimal-ingest"]


# What is missing


def test_nothing_is_made_of_a_server_whose_secret_is_missing() -> None:
    cluster = Cluster(servers=[*Cluster().resource["spec"]["servers"], SECOND])
    second = cluster.resource["spec"]["servers"][1]
    second["ari"] = {**second["ari"], "credentialsSecretRef": {"name": "late"}}
    cluster.settle()
    assert cluster.named("Deployment") == [INGEST, COMMAND]

    cluster.secrets["late"] = {"username": "", "password": ""}
    cluster.settle()
    assert len(cluster.named("Deployment")) == 4


def test_nothing_is_touched_while_the_secret_is_missing() -> None:
    cluster = settled("standby")
    cluster.secrets["asterisk-ari"] = None
    cluster.resource["spec"]["ingest"] |= {"image": "new:2"}
    steps = cluster.plan()

    assert (steps.apply, steps.delete) == ((), ())


def test_server_of_another_resource_is_left_to_it() -> None:
    cluster = Cluster()
    cluster.rivals = {"asterisk-a": "voice/elder"}
    cluster.settle()

    assert cluster.named("Deployment") == []


# Servers that go


def removed(dialogs: int | None = 0, **spec: Any) -> Cluster:
    cluster = settled(servers=[*Cluster().resource["spec"]["servers"], SECOND], **spec)
    cluster.resource["spec"]["servers"].pop()
    labels = {"ari-proxy.io/server": "b", "app.kubernetes.io/component": "ingest"}
    cluster.pods = [pod("ingest-b", labels=labels)]
    cluster.dialogs = {} if dialogs is None else {"ingest-b": dialogs}
    return cluster


def drain_since(cluster: Cluster, seconds: float) -> None:
    since = (cluster.now - timedelta(seconds=seconds)).isoformat().replace("+00:00", "Z")
    cluster.resource["status"] = {
        "servers": [{"name": "asterisk-a"}, {"name": "b", "drainingSince": since}]
    }


def test_removed_server_without_calls_goes_at_once() -> None:
    cluster = removed()
    cluster.settle()

    assert sorted(cluster.named("Deployment")) == [COMMAND, INGEST]
    assert ("ConfigMap", "minimal-command-b") in cluster.deleted


@pytest.mark.parametrize("dialogs", [3, None])
def test_removed_server_waits_for_its_calls(dialogs: int | None) -> None:
    cluster = removed(dialogs)
    drain_since(cluster, 599)
    steps = cluster.plan()

    assert steps.delete == ()
    assert steps.recheck_seconds == 5


@pytest.mark.parametrize("dialogs", [3, None])
def test_removed_server_waits_no_longer_than_it_should(dialogs: int | None) -> None:
    cluster = removed(dialogs, drainTimeoutSeconds=600)
    drain_since(cluster, 600)
    cluster.settle()

    assert sorted(cluster.named("Deployment")) == [COMMAND, INGEST]


def test_removed_server_that_nobody_serves_goes() -> None:
    cluster = removed()
    cluster.pods, cluster.dialogs = [], {}
    cluster.settle()

    assert sorted(cluster.named("Deployment")) == [COMMAND, INGEST]


@pytest.mark.parametrize(
    ("state", "goes"),
    [
        ({"phase": "Pending", "podIP": ""}, False),
        ({"phase": "Running", "podIP": ""}, False),
        ({"phase": "Unknown"}, False),
        ({"phase": "Failed"}, True),
        ({"phase": "Succeeded"}, True),
    ],
)
def test_ingest_that_has_not_started_may_be_in_place_of_one_with_calls(
    state: dict[str, str], goes: bool
) -> None:
    """Its node was drained: the calls wait in Asterisk for the new pod."""
    cluster = removed(None)
    cluster.pods[0]["status"] |= state
    cluster.settle()

    assert ("minimal-ingest-b" not in cluster.named("Deployment")) is goes


def test_ingest_that_waits_for_its_calls_keeps_the_right_to_its_lease() -> None:
    cluster = removed(3, ingest={"replicas": 2})
    cluster.settle()

    (rule,) = cluster.of("Role", "minimal-ingest")["rules"]
    assert sorted(rule["resourceNames"]) == [INGEST, "minimal-ingest-b"]

    cluster.dialogs = {"ingest-b": 0}
    cluster.settle()
    (rule,) = cluster.of("Role", "minimal-ingest")["rules"]
    assert rule["resourceNames"] == [INGEST]


def test_server_that_returns_stays() -> None:
    cluster = removed(3)
    cluster.resource["spec"]["servers"].append(SECOND)

    assert cluster.plan().delete == ()
    assert cluster.plan().apply == ()


# Discovery


def discovered(*names: str) -> Cluster:
    cluster = Cluster("discovery")
    cluster.asterisk_pods = [pod(name) for name in names]
    cluster.settle()
    return cluster


def test_every_ready_pod_is_a_server() -> None:
    cluster = discovered("asterisk-0", "asterisk-1")

    assert len(cluster.named("Deployment")) == 4
    config = cluster.of("ConfigMap", "discovery-ingest-asterisk-1")["data"]["config.json"]
    assert '"server_id": "asterisk-1"' in config


def test_server_of_a_pod_that_is_gone_may_return_for_a_while() -> None:
    cluster = discovered("asterisk-0")
    cluster.asterisk_pods = []
    assert cluster.plan().delete == ()

    since = (cluster.now - timedelta(seconds=31)).isoformat()
    cluster.resource["status"] = {"servers": [{"name": "asterisk-0", "drainingSince": since}]}
    cluster.settle()
    assert cluster.named("Deployment") == []
