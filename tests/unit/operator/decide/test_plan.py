"""The changes that an observed state leads to."""

from datetime import timedelta
from typing import Any

import pytest

from ari_proxy.operator import names
from ari_proxy.operator.decide.defaults import Defaults
from ari_proxy.operator.decide.refusals import Refusal
from ari_proxy.operator.objects import ObjectKey
from tests.support.resources import SERVER_B, Cluster, labels_of, pod

INGEST, COMMAND = "minimal-ingest-asterisk-a", "minimal-command-asterisk-a"


def settled(sample: str = "minimal", **spec: Any) -> Cluster:
    cluster = Cluster(sample, **spec)
    cluster.settle()
    return cluster


def test_settled_cluster_needs_no_changes() -> None:
    for sample in ("minimal", "standby", "rabbitmq"):
        cluster = settled(sample)
        steps = cluster.plan()
        assert (steps.apply, steps.delete) == ((), ())
        assert steps.recheck_seconds is None


def test_fields_of_others_are_left_alone() -> None:
    cluster = settled()
    live = cluster.of("Deployment", INGEST)
    live["metadata"]["annotations"]["deployment.kubernetes.io/revision"] = "1"
    live["spec"]["template"]["spec"]["dnsPolicy"] = "ClusterFirst"
    live["spec"]["template"]["spec"]["containers"][0]["terminationMessagePath"] = "/dev/log"

    assert cluster.plan().apply == ()


def test_addition_of_others_is_a_difference() -> None:
    cluster = settled()
    live = cluster.of("ConfigMap", INGEST)
    live["data"]["other"] = "x"
    fields: dict[str, Any] = {"f:data": {"f:other": {}}}
    live["metadata"]["managedFields"] = [{"manager": "kubectl-edit", "fieldsV1": fields}]

    assert cluster.settle() == [("ConfigMap", INGEST)]


def test_empty_field_that_the_api_server_omits_is_no_difference() -> None:
    template: dict[str, Any] = {"spec": {"nodeSelector": {}, "tolerations": []}}
    cluster = settled(ingest={"podTemplate": template})
    pod_spec = cluster.of("Deployment", INGEST)["spec"]["template"]["spec"]
    for name in template["spec"]:
        del pod_spec[name]

    assert cluster.plan().apply == ()


def test_deleted_child_is_restored() -> None:
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
def test_changed_child_is_restored(kind: str, change: Any) -> None:
    cluster = settled()
    change(cluster.of(kind, INGEST))

    assert cluster.settle() == [(kind, INGEST)]
    assert cluster.plan().apply == ()


def test_field_that_is_no_longer_desired_is_removed() -> None:
    cluster = settled(command={"podTemplate": {"metadata": {"annotations": {"team": "voice"}}}})
    cluster.resource["spec"]["command"] = {}

    assert ("Deployment", COMMAND) in cluster.settle()


def test_obsolete_children_are_deleted() -> None:
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


def test_what_a_suspended_resource_would_change_is_known() -> None:
    cluster = settled()
    cluster.resource["spec"]["suspend"] = True
    assert cluster.plan().withheld == ()
    cluster.resource["spec"]["command"] = {"replicas": 3}
    steps = cluster.plan()

    assert steps.apply == ()
    assert steps.withheld == (
        ("Deployment", COMMAND),
        ("PodDisruptionBudget", COMMAND),
    )


def test_suspended_resource_is_compared_with_the_installations_defaults() -> None:
    cluster = Cluster()
    cluster.defaults = Defaults(admin_peers=())
    cluster.settle()
    cluster.resource["spec"]["suspend"] = True

    assert cluster.plan().withheld == ()


# All children of a resource


def test_children_of_a_minimal_resource() -> None:
    assert sorted(settled("minimal").children) == [
        ("ConfigMap", COMMAND),
        ("ConfigMap", INGEST),
        ("Deployment", COMMAND),
        ("Deployment", INGEST),
        ("ServiceAccount", "minimal-command"),
        ("ServiceAccount", "minimal-ingest"),
    ]


def test_children_of_a_resource_with_everything() -> None:
    cluster = Cluster("production")
    cluster.secrets |= {
        "nats-ari-proxy": {"user.creds": ""},
        "nats-ca": {"ca.crt": ""},
        "voice-ca": {"ca.crt": ""},
        "asterisk-a-ari": {"username": "", "password": ""},
        "asterisk-b-ari": {"username": "", "password": ""},
    }
    cluster.settle()

    count = {key.kind: len(cluster.named(key.kind)) for key in cluster.children}
    assert count == {
        "ServiceAccount": 2,
        "Role": 1,
        "RoleBinding": 1,
        "PodMonitor": 1,
        "ConfigMap": 4,
        "Lease": 2,
        "Deployment": 4,
        "PodDisruptionBudget": 4,
        "HorizontalPodAutoscaler": 2,
    }


def test_autoscalers_number_is_no_difference() -> None:
    cluster = settled(command={"autoscaling": {"minReplicas": 2, "maxReplicas": 5}})
    cluster.of("Deployment", COMMAND)["spec"]["replicas"] = 4
    assert cluster.settle() == []

    cluster.resource["spec"]["command"]["maxInFlight"] = 7
    (changed,) = [item for item in cluster.plan().apply if item["kind"] == "Deployment"]
    assert changed["spec"]["replicas"] == 4


def test_number_of_pods_that_is_left_out_is_left_to_others() -> None:
    cluster = settled()
    cluster.of("Deployment", COMMAND)["spec"]["replicas"] = 4
    assert cluster.settle() == []

    cluster.resource["spec"]["command"] = {"replicas": 2}
    assert ("Deployment", COMMAND) in cluster.settle()
    assert cluster.of("Deployment", COMMAND)["spec"]["replicas"] == 2

    cluster.resource["spec"]["command"] = {}
    cluster.settle()
    assert cluster.of("Deployment", COMMAND)["spec"]["replicas"] == 2


def test_autoscaled_deployment_without_pods_is_changed() -> None:
    cluster = settled(command={"autoscaling": {"minReplicas": 2, "maxReplicas": 5}})
    cluster.of("Deployment", COMMAND)["spec"]["replicas"] = 0

    assert cluster.settle() == [("Deployment", COMMAND)]
    assert cluster.of("Deployment", COMMAND)["spec"]["replicas"] == 2


# Leases


def test_ingests_may_use_their_own_leases() -> None:
    cluster = settled("standby")
    (rule,) = cluster.of("Role", "standby-ingest")["rules"]

    assert rule["resourceNames"] == cluster.named("Lease") == ["standby-ingest-asterisk-a"]


def test_lease_is_created_for_a_second_pod_and_kept() -> None:
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


# Missing Secrets and rivals


def test_server_waits_for_its_secret() -> None:
    cluster = Cluster(servers=[*Cluster().resource["spec"]["servers"], SERVER_B])
    second = cluster.resource["spec"]["servers"][1]
    second["ari"] = {**second["ari"], "credentialsSecretRef": {"name": "late"}}
    cluster.settle()
    assert cluster.named("Deployment") == [INGEST, COMMAND]

    cluster.secrets["late"] = {"username": "", "password": ""}
    cluster.settle()
    assert len(cluster.named("Deployment")) == 4


def test_running_server_is_unchanged_while_its_secret_is_missing() -> None:
    cluster = settled("standby")
    cluster.secrets["asterisk-ari"] = None
    cluster.resource["spec"]["ingest"] |= {"image": "new:2"}
    steps = cluster.plan()

    assert (steps.apply, steps.delete) == ((), ())


def test_server_of_an_older_resource_is_left_to_it() -> None:
    cluster = Cluster()
    cluster.rivals = {"asterisk-a": "voice/older"}
    cluster.settle()

    assert cluster.named("Deployment") == []


def test_podtemplate_of_a_wrong_form_changes_nothing_of_the_servers() -> None:
    cluster = settled()
    cluster.resource["spec"]["ingest"] = {"podTemplate": {"spec": {"containers": "x"}}}
    cluster.resource["spec"]["command"] = {"maxInFlight": 7}
    steps = cluster.plan()

    assert (steps.apply, steps.delete) == ((), ())
    assert dict(steps.refusals) == {
        ObjectKey("Deployment", INGEST): Refusal(
            "PodTemplateInvalid", "spec.ingest.podTemplate.spec.containers must be a list"
        )
    }


# Draining


def removed(dialogs: int | None = 0, **spec: Any) -> Cluster:
    cluster = settled(servers=[*Cluster().resource["spec"]["servers"], SERVER_B], **spec)
    cluster.resource["spec"]["servers"].pop()
    cluster.pods = [pod("ingest-b", labels=labels_of("b"))]
    cluster.dialogs = {} if dialogs is None else {"ingest-b": dialogs}
    return cluster


def drain_since(cluster: Cluster, seconds: float) -> None:
    since = (cluster.now - timedelta(seconds=seconds)).isoformat().replace("+00:00", "Z")
    cluster.resource["status"] = {
        "servers": [{"name": "asterisk-a"}, {"name": "b", "drainingSince": since}]
    }


def test_removed_server_without_calls_is_deleted_at_once() -> None:
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
def test_removed_server_is_deleted_when_its_drain_times_out(dialogs: int | None) -> None:
    cluster = removed(dialogs, drainTimeoutSeconds=600)
    drain_since(cluster, 600)
    cluster.settle()

    assert sorted(cluster.named("Deployment")) == [COMMAND, INGEST]


def test_removed_server_without_pods_is_deleted() -> None:
    cluster = removed()
    cluster.pods, cluster.dialogs = [], {}
    cluster.settle()

    assert sorted(cluster.named("Deployment")) == [COMMAND, INGEST]


@pytest.mark.parametrize(
    ("state", "deleted"),
    [
        ({"phase": "Pending", "podIP": ""}, False),
        ({"phase": "Running", "podIP": ""}, False),
        ({"phase": "Unknown"}, False),
        ({"phase": "Failed"}, True),
        ({"phase": "Succeeded"}, True),
    ],
)
def test_ingest_that_has_not_started_may_replace_one_with_calls(
    state: dict[str, str], deleted: bool
) -> None:
    """After the drain of a node, say: the calls wait in Asterisk for the new pod."""
    cluster = removed(None)
    cluster.pods[0]["status"] |= state
    cluster.settle()

    assert ("minimal-ingest-b" not in cluster.named("Deployment")) is deleted


def test_draining_ingest_keeps_access_to_its_lease() -> None:
    cluster = removed(3, ingest={"replicas": 2})
    cluster.settle()

    (rule,) = cluster.of("Role", "minimal-ingest")["rules"]
    assert sorted(rule["resourceNames"]) == [INGEST, "minimal-ingest-b"]

    cluster.dialogs = {"ingest-b": 0}
    cluster.settle()
    (rule,) = cluster.of("Role", "minimal-ingest")["rules"]
    assert rule["resourceNames"] == [INGEST]


def test_server_that_is_desired_again_is_kept() -> None:
    cluster = removed(3)
    cluster.resource["spec"]["servers"].append(SERVER_B)

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


def test_server_of_a_deleted_pod_is_kept_for_a_while() -> None:
    cluster = discovered("asterisk-0")
    cluster.asterisk_pods = []
    assert cluster.plan().delete == ()

    since = (cluster.now - timedelta(seconds=31)).isoformat()
    cluster.resource["status"] = {"servers": [{"name": "asterisk-0", "drainingSince": since}]}
    cluster.settle()
    assert cluster.named("Deployment") == []


def test_pods_are_replaced_once_their_service_account_was_made_anew() -> None:
    """The tokens of the former one are not accepted any more."""
    name = "standby-ingest-asterisk-a"
    cluster = settled("standby")
    account = cluster.of("ServiceAccount", "standby-ingest")
    account["metadata"]["creationTimestamp"] = "2026-11-24T10:00:00Z"
    cluster.of("Deployment", name)["metadata"]["creationTimestamp"] = "2026-11-24T10:00:00Z"
    assert cluster.settle() == []

    account["metadata"]["creationTimestamp"] = since = "2026-11-24T11:00:00Z"
    assert [key.name for key in cluster.settle()] == [name]
    cluster.of("Deployment", name)["metadata"]["creationTimestamp"] = "2026-11-24T10:00:00Z"
    template = cluster.of("Deployment", name)["spec"]["template"]
    assert template["metadata"]["annotations"][names.ACCOUNT_SINCE] == since
    assert cluster.settle() == []

    # It is deleted once more: that alone starts no pod.
    del cluster.children[ObjectKey("ServiceAccount", "standby-ingest")]
    assert [key.kind for key in cluster.settle()] == ["ServiceAccount"]


def test_pods_without_a_lease_need_no_new_token() -> None:
    cluster = settled()
    account = cluster.of("ServiceAccount", "minimal-ingest")
    cluster.of("Deployment", INGEST)["metadata"]["creationTimestamp"] = "2026-11-24T10:00:00Z"
    account["metadata"]["creationTimestamp"] = "2026-11-24T11:00:00Z"

    assert cluster.settle() == []
