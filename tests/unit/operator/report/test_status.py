"""The status of a resource."""

from datetime import timedelta
from typing import Any

from ari_proxy.operator.decide.refusals import Refusal
from ari_proxy.operator.decide.rollout import Rollout
from ari_proxy.operator.objects import ObjectKey
from ari_proxy.operator.report.status import status, unreconciled
from ari_proxy.operator.state import QueryFailure
from tests.support.resources import NOW, SERVER_B, Cluster, labels_of, pod

INGEST = "minimal-ingest-asterisk-a"


def settled(sample: str = "minimal", **spec: Any) -> Cluster:
    cluster = Cluster(sample, **spec)
    cluster.settle()
    return cluster


def conditions(cluster: Cluster, failures: Any = None) -> dict[str, dict[str, Any]]:
    found = status(cluster.observed, failures or {})["conditions"]
    return {item["type"]: item for item in found}


def test_served_resource() -> None:
    cluster = settled()
    found = status(cluster.observed, {})

    assert (found["serverCount"], found["readyServerCount"]) == (1, 1)
    states = {item["type"]: item["status"] for item in found["conditions"]}
    assert states == {
        "Accepted": "True",
        "Progressing": "False",
        "Ready": "True",
        "Degraded": "False",
        "Suspended": "False",
        "Stalled": "False",
        "Reconciling": "False",
    }
    (server,) = found["servers"]
    assert server["serverId"] == "asterisk-a"
    assert server["ingest"] == {
        "deployment": INGEST,
        "replicas": 1,
        "updatedReplicas": 1,
        "readyReplicas": 1,
        "image": "ingest:1",
    }


def rolled_out(rollout: Rollout) -> dict[str, dict[str, Any]]:
    """Return the conditions of a resource whose server a has a new pod that does not start."""
    cluster = settled(servers=[{**SERVER_B, "name": name} for name in ("a", "b")])
    ingest = cluster.of("Deployment", "minimal-ingest-a")
    ingest["status"] |= {"replicas": 2, "updatedReplicas": 1, "readyReplicas": 1}
    waiting = {"waiting": {"reason": "ImagePullBackOff", "message": "no such image"}}
    statuses = [{"name": "ingest", "state": waiting}]
    cluster.pods = [pod("p", labels=labels_of("a"), ready=False, containerStatuses=statuses)]
    found = status(cluster.observed, {}, rollout=rollout)["conditions"]
    return {item["type"]: item for item in found}


def test_stopped_roll_out_names_the_server_and_what_makes_it_go_on() -> None:
    found = rolled_out(Rollout(failed=("a",), waiting=("b",)))

    progressing = found["Progressing"]
    assert (progressing["status"], progressing["reason"]) == ("False", "RolloutStopped")
    assert progressing["message"] == (
        "the new pods of a do not become ready: a: ingest: p: no such image; "
        "b keep the former ones until they do, or the spec is changed"
    )
    assert found["Ready"]["status"] == "True"
    assert (found["Degraded"]["status"], found["Degraded"]["reason"]) == (
        "True",
        "ImagePullBackOff",
    )
    assert found["Stalled"]["status"] == "True"


def test_roll_out_that_an_unready_server_stops_says_so() -> None:
    cluster = settled(servers=[{**SERVER_B, "name": name} for name in ("a", "b")])
    cluster.run("minimal-ingest-a", ready=0)
    cluster.failed_checks = {"p": "asterisk: connection refused"}
    cluster.pods = [pod("p", labels=labels_of("a"), ready=False)]
    rollout = Rollout(unready=("a",), waiting=("b",))
    found = {item["type"]: item for item in status(cluster.observed, {}, (), rollout)["conditions"]}

    progressing = found["Progressing"]
    assert (progressing["status"], progressing["reason"]) == ("False", "RolloutStopped")
    assert progressing["message"] == (
        "a with the new pods are not served any more: a: p: asterisk: connection refused; "
        "b keep the former ones until they are, or the spec is changed"
    )
    assert found["Ready"]["status"] == "False"


def test_servers_that_follow_are_named() -> None:
    found = rolled_out(Rollout(rolling=("a",), waiting=("b",)))

    assert found["Progressing"]["status"] == "True"
    assert "rolling out: a; then b" in found["Progressing"]["message"]


def test_resource_that_waits_for_others_says_so() -> None:
    found = rolled_out(Rollout(waiting=("a", "b"), is_queued=True))

    assert (found["Progressing"]["status"], found["Progressing"]["reason"]) == (
        "True",
        "RolloutQueued",
    )


def test_reconciliation_without_changes_keeps_the_status() -> None:
    cluster = settled()
    first = status(cluster.observed, {})
    cluster.resource["status"] = first
    cluster.now += timedelta(minutes=10)

    assert status(cluster.observed, {}) == first


def test_condition_has_the_time_of_its_last_change() -> None:
    cluster = settled()
    cluster.resource["status"] = status(cluster.observed, {})
    cluster.now += timedelta(minutes=10)
    cluster.run(INGEST, ready=0)
    found = conditions(cluster)

    assert found["Ready"]["lastTransitionTime"] == "2026-11-24T12:10:00Z"
    assert found["Accepted"]["lastTransitionTime"] == "2026-11-24T12:00:00Z"


def test_missing_secret() -> None:
    cluster = settled()
    cluster.secrets["asterisk-ari"] = None
    ready = conditions(cluster)["Ready"]

    assert ready["reason"] == "SecretMissing"


def test_failed_apply_is_reported_though_the_old_pods_serve() -> None:
    cluster = settled()
    found = status(
        cluster.observed,
        {ObjectKey("Deployment", INGEST): Refusal("ApplyFailed", "spec.x: Forbidden")},
    )
    ready = {item["type"]: item for item in found["conditions"]}["Ready"]
    server = {item["type"]: item for item in found["servers"][0]["conditions"]}

    assert (ready["reason"], ready["status"]) == ("ApplyFailed", "False")
    assert (server["IngestReady"]["reason"], server["IngestReady"]["status"]) == (
        "ApplyFailed",
        "True",
    )
    assert server["CommandReady"]["reason"] == "Serving"


def test_name_that_is_taken_is_told_for_each_server_that_needs_it() -> None:
    cluster = Cluster()
    taken = {ObjectKey("ServiceAccount", "minimal-ingest"): Refusal("NameTaken", "it exists")}
    found = conditions(cluster, taken)
    (server,) = status(cluster.observed, taken)["servers"]
    states = {item["type"]: item for item in server["conditions"]}

    assert found["Ready"]["reason"] == states["IngestReady"]["reason"] == "NameTaken"
    assert found["Ready"]["message"] == ("asterisk-a: ServiceAccount minimal-ingest: it exists")
    assert states["CommandReady"]["reason"] == "NotCreated"


def test_object_of_a_kind_that_the_cluster_lacks_is_told_though_calls_are_served() -> None:
    refusal = Refusal("KindMissing", "the cluster lacks this kind")
    found = conditions(settled(), {ObjectKey("PodMonitor", "minimal"): refusal})

    assert found["Ready"]["status"] == "True"
    assert (found["Degraded"]["status"], found["Degraded"]["reason"]) == ("True", "KindMissing")
    assert "PodMonitor minimal" in found["Degraded"]["message"]


def test_podtemplate_of_a_wrong_form_is_told() -> None:
    cluster = settled()
    cluster.resource["spec"]["ingest"] = {"podTemplate": {"spec": {"volumes": [None]}}}
    found = conditions(cluster, cluster.plan().refusals)

    for kind in ("Accepted", "Ready"):
        assert (found[kind]["status"], found[kind]["reason"]) == ("False", "PodTemplateInvalid")
        assert "spec.ingest.podTemplate.spec.volumes[0] must be an" in found[kind]["message"]


def test_failed_reconciliation_is_told_beside_the_former_status() -> None:
    cluster = settled()
    former = status(cluster.observed, {})
    found = unreconciled(former, 3, KeyError("name"), NOW)
    states = {item["type"]: item for item in found["conditions"]}

    assert found["observedGeneration"] == 3
    assert found["servers"] == former["servers"]
    assert states["Accepted"] in former["conditions"]
    for kind in ("Ready", "Progressing"):
        assert (states[kind]["status"], states[kind]["reason"]) == ("Unknown", "ReconcileFailed")
        assert "KeyError: 'name'" in states[kind]["message"]
    assert unreconciled(found, 3, KeyError("name"), NOW + timedelta(minutes=1)) == found


def test_failed_reconciliation_of_a_new_resource_is_told() -> None:
    found = unreconciled({}, 1, ValueError("x"), NOW)

    assert {item["type"]: item["status"] for item in found["conditions"]} == {
        "Progressing": "Unknown",
        "Ready": "Unknown",
        "Stalled": "True",
        "Reconciling": "False",
    }


def test_rollout_is_progress_and_no_failure() -> None:
    cluster = settled()
    cluster.of("Deployment", INGEST)["status"]["updatedReplicas"] = 0
    found = conditions(cluster)

    assert found["Ready"]["status"] == "True"
    assert found["Progressing"]["reason"] == "RollingOut"
    assert found["Degraded"]["status"] == "False"


def new_pod_waits(cluster: Cluster, reason: str, message: str) -> None:
    """Roll out a pod that can't start, beside the old one."""
    cluster.of("Deployment", INGEST)["status"]["updatedReplicas"] = 0
    waiting = {"state": {"waiting": {"reason": reason, "message": message}}}
    labels = labels_of("asterisk-a")
    cluster.pods = [pod("new", labels=labels, ready=False, containerStatuses=[waiting])]


def test_rollout_that_is_stuck_has_its_reason_though_the_old_pods_serve() -> None:
    cluster = settled()
    new_pod_waits(cluster, "ImagePullBackOff", "no such image")
    found = conditions(cluster)
    (server,) = status(cluster.observed, {})["servers"]
    serving = {item["type"]: item for item in server["conditions"]}["IngestReady"]

    assert found["Ready"]["status"] == "True"
    for kind in ("Progressing", "Degraded"):
        assert (found[kind]["status"], found[kind]["reason"]) == ("True", "ImagePullBackOff")
        assert "asterisk-a: ingest: new: no such image" in found[kind]["message"]
    assert (serving["status"], serving["reason"]) == ("True", "Serving")
    assert serving["message"] == "1 of 1 pods are ready; new: no such image"


def test_missing_standby_degrades_the_resource() -> None:
    cluster = settled("standby")
    cluster.run("standby-ingest-asterisk-a", ready=1)
    found = conditions(cluster)

    assert found["Ready"]["status"] == "True"
    assert found["Degraded"]["status"] == "True"


def test_server_id_conflict_is_not_accepted() -> None:
    cluster = Cluster()
    cluster.rivals = {"asterisk-a": "voice/older"}
    found = conditions(cluster)

    assert found["Accepted"]["reason"] == "ServerIdConflict"
    assert "voice/older" in found["Ready"]["message"]


def test_selector_without_matching_pods() -> None:
    ready = conditions(Cluster("discovery"))["Ready"]

    assert ready["reason"] == "NoServersFound"
    assert "app=asterisk" in ready["message"]


def test_suspended_resource_reports_its_state() -> None:
    cluster = settled()
    cluster.resource["spec"]["suspend"] = True
    found = conditions(cluster)

    assert found["Suspended"]["status"] == "True"
    assert found["Ready"]["status"] == "True"


def test_suspended_resource_tells_what_differs_from_its_spec() -> None:
    cluster = settled()
    cluster.resource["spec"] |= {"suspend": True, "command": {"replicas": 3}}
    found = status(cluster.observed, {}, cluster.plan().withheld)
    states = {item["type"]: item for item in found["conditions"]}

    assert "different from the spec: Deployment minimal-command-" in states["Suspended"]["message"]


def test_draining_server_has_an_entry() -> None:
    cluster = settled("discovery")
    cluster.asterisk_pods = [pod("asterisk-0")]
    cluster.settle()
    cluster.asterisk_pods = []
    (server,) = status(cluster.observed, {})["servers"]

    assert server["drainingSince"] == "2026-11-24T12:00:00Z"
    assert conditions(cluster)["Progressing"]["reason"] == "Draining"


def test_drain_names_the_pods_that_do_not_report() -> None:
    cluster = settled("discovery")
    cluster.asterisk_pods = [pod("asterisk-0")]
    cluster.settle()
    cluster.asterisk_pods = []
    labels = labels_of("asterisk-0")
    cluster.pods = [
        pod("failing", labels=labels),
        pod("starting", labels=labels, phase="Pending", podIP=""),
        pod("reporting", labels=labels),
    ]
    cluster.dialogs = {"reporting": 0}
    cluster.query_failures = {
        QueryFailure("dialogs", "failing", "GET /dialogs/count answered 500"),
        QueryFailure("checks", "reporting", "connection failed: Connection refused"),
    }

    assert conditions(cluster)["Progressing"]["message"] == (
        "draining until the dialogs end: asterisk-0; "
        "failing does not report its open dialogs: GET /dialogs/count answered 500; "
        "starting does not report its open dialogs: it has not started yet"
    )


# As kstatus reads them: Reconciling is progress, Stalled a failure


def kstatus(cluster: Cluster, failures: Any = None) -> tuple[str, str, str]:
    found = conditions(cluster, failures)
    return found["Stalled"]["status"], found["Reconciling"]["status"], found["Stalled"]["reason"]


def test_rollout_and_drain_are_progress() -> None:
    cluster = settled()
    cluster.of("Deployment", INGEST)["status"]["updatedReplicas"] = 0
    assert kstatus(cluster) == ("False", "True", "NotStalled")

    cluster = settled()
    cluster.resource["spec"]["servers"][0]["name"] = "renamed"
    assert kstatus(cluster, cluster.plan().refusals) == ("False", "True", "NotStalled")


def test_what_somebody_has_to_mend_is_stalled() -> None:
    cluster = settled()
    new_pod_waits(cluster, "ImagePullBackOff", "no such image")
    assert kstatus(cluster) == ("True", "False", "ImagePullBackOff")

    cluster = settled()
    cluster.secrets["asterisk-ari"] = None
    assert kstatus(cluster) == ("True", "False", "SecretMissing")

    cluster = Cluster()
    cluster.rivals = {"asterisk-a": "voice/older"}
    assert kstatus(cluster) == ("True", "False", "ServerIdConflict")

    taken = {ObjectKey("ServiceAccount", "minimal-ingest"): Refusal("NameTaken", "it exists")}
    assert kstatus(settled(), taken) == ("True", "False", "NameTaken")


def test_missing_kind_stalls_nothing() -> None:
    missing = {ObjectKey("PodMonitor", "minimal"): Refusal("KindMissing", "lacks it")}

    assert kstatus(settled(), missing) == ("False", "False", "NotStalled")
