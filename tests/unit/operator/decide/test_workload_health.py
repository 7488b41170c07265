"""The health of a component of a server."""

from typing import Any

import pytest

from ari_proxy.operator.decide.workload_health import WorkloadHealth, health
from tests.support.resources import Cluster, labels_of, pod

INGEST = "minimal-ingest-asterisk-a"
LABELS = labels_of("asterisk-a")


def settled() -> Cluster:
    cluster = Cluster()
    cluster.settle()
    return cluster


def ingest_of(cluster: Cluster) -> WorkloadHealth:
    return health(cluster.observed, "asterisk-a", "ingest")


def test_settled_deployment_serves() -> None:
    found = ingest_of(settled())

    assert (found.is_settled, found.is_serving, found.reason) == (True, True, "")
    assert found.image == "ingest:1"


def test_deployment_may_not_exist_yet() -> None:
    found = ingest_of(Cluster())

    assert (found.is_settled, found.is_serving, found.reason) == (False, False, "NotCreated")
    assert "ingest" in found.message
    assert found.entry()["deployment"] == ""


def test_deployment_scaled_to_zero_serves_nobody() -> None:
    cluster = Cluster(ingest={"replicas": 0})
    cluster.settle()
    found = ingest_of(cluster)

    assert (found.is_settled, found.is_serving, found.reason) == (True, False, "ScaledToZero")
    assert "raise its number of replicas" in found.message


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("observedGeneration", 0),
        ("updatedReplicas", 0),
        ("replicas", 2),
        ("readyReplicas", 0),
    ],
)
def test_rollout_is_not_settled(name: str, value: int) -> None:
    cluster = settled()
    cluster.of("Deployment", INGEST)["status"][name] = value

    assert not ingest_of(cluster).is_settled


def waiting(reason: str, message: str = "") -> list[dict[str, Any]]:
    return [{"state": {"waiting": {"reason": reason, "message": message}}}]


@pytest.mark.parametrize(
    ("item", "failed_checks", "reason", "message"),
    [
        (pod("p", ready=False), "", "Starting", f"the pods of {INGEST} are starting"),
        (pod("p", ready=False), "bus: none", "NotReady", "p: bus: none"),
        (
            pod("p", containerStatuses=waiting("ImagePullBackOff", "no such image")),
            "",
            "ImagePullBackOff",
            "p: no such image",
        ),
        (
            pod("p", initContainerStatuses=waiting("CrashLoopBackOff")),
            "bus: none",
            "CrashLoopBackOff",
            "p: CrashLoopBackOff",
        ),
        (
            pod("p", containerStatuses=waiting("ContainerCreating")),
            "",
            "Starting",
            f"the pods of {INGEST} are starting",
        ),
        (
            pod("p", conditions=[{"type": "PodScheduled", "status": "False", "message": "full"}]),
            "",
            "Unschedulable",
            "p: full",
        ),
    ],
    ids=["starting", "checks", "image", "init container", "creating", "unschedulable"],
)
def test_reason_is_the_most_specific_one(
    item: dict[str, Any], failed_checks: str, reason: str, message: str
) -> None:
    cluster = settled()
    cluster.run(INGEST, ready=0)
    item["metadata"]["labels"] = LABELS
    cluster.pods = [item]
    cluster.failed_checks = {"p": failed_checks} if failed_checks else {}
    found = ingest_of(cluster)

    assert (found.reason, found.message) == (reason, message)


def test_crash_has_the_containers_last_words() -> None:
    cluster = settled()
    cluster.run(INGEST, ready=0)
    (status,) = waiting("CrashLoopBackOff", "back-off 20s")
    status["lastState"] = {"terminated": {"message": "x" * 600 + "has a port that is no number"}}
    cluster.pods = [pod("p", labels=LABELS, ready=False, containerStatuses=[status])]
    message = ingest_of(cluster).message

    assert message.startswith("p: back-off 20s; it said: xx")
    assert message.endswith("has a port that is no number")
    assert len(message) < 600


def test_pods_of_other_components_do_not_matter() -> None:
    cluster = settled()
    cluster.run(INGEST, ready=0)
    cluster.pods = [pod("p", labels=labels_of("asterisk-a", "command"), ready=False)]
    cluster.failed_checks = {"p": "bus: none"}

    assert ingest_of(cluster).reason == "Starting"


def test_refused_pods_have_the_deployments_reason() -> None:
    cluster = settled()
    cluster.run(INGEST, ready=0)
    refusal = {"type": "ReplicaFailure", "status": "True", "reason": "FailedCreate"}
    cluster.of("Deployment", INGEST)["status"]["conditions"] = [
        {"type": "Progressing", "status": "True"},
        {**refusal, "message": "quota"},
    ]
    found = ingest_of(cluster)

    assert (found.reason, found.message) == ("FailedCreate", "quota")
    assert found.is_stuck


def late(cluster: Cluster) -> None:
    """Let the Deployment's deadline pass."""
    condition = {"type": "Progressing", "status": "False", "reason": "ProgressDeadlineExceeded"}
    live = cluster.of("Deployment", INGEST)
    live["status"]["conditions"] = [{**condition, "message": "has timed out progressing"}]


def test_rollout_beyond_its_deadline_is_stuck() -> None:
    cluster = settled()
    cluster.run(INGEST, ready=0)
    assert not ingest_of(cluster).is_stuck
    late(cluster)
    found = ingest_of(cluster)

    assert (found.reason, found.is_stuck) == ("ProgressDeadlineExceeded", True)
    assert found.message == "has timed out progressing"


def test_failing_checks_say_more_than_the_deadline() -> None:
    cluster = settled()
    cluster.run(INGEST, ready=0)
    cluster.pods = [pod("p", labels=LABELS, ready=False)]
    cluster.failed_checks = {"p": "bus: none"}
    assert not ingest_of(cluster).is_stuck
    late(cluster)
    found = ingest_of(cluster)

    assert (found.reason, found.message, found.is_stuck) == ("NotReady", "p: bus: none", True)


def test_settled_deployment_is_not_stuck() -> None:
    assert not ingest_of(settled()).is_stuck


def test_ready_pods_of_which_none_is_active_serve_nobody() -> None:
    cluster = settled()
    name = f"{INGEST}-1"
    cluster.pods = [pod(name, labels=LABELS)]
    cluster.active = {name: False}

    found = ingest_of(cluster)

    assert (found.is_settled, found.is_serving, found.reason) == (False, False, "NobodyActive")
    assert found.message == "none of 1 ingest pods is active: events come to nobody"


def test_pod_that_could_not_become_active_has_a_reason() -> None:
    cluster = settled()
    name = f"{INGEST}-1"
    cluster.pods = [pod(name, labels=LABELS, ready=False)]
    cluster.active = {name: False}
    cluster.failed_checks = {name: "lease: answers 401"}

    assert ingest_of(cluster).message.endswith(f"; {name}: lease: answers 401")
