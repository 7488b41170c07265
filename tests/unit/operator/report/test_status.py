"""What a resource says of itself."""

from datetime import timedelta
from typing import Any

import pytest

from ari_proxy.operator.observe.state import Silence
from ari_proxy.operator.report import events as outcomes
from ari_proxy.operator.report.status import status
from tests.support.resources import Cluster, pod, proxy

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


def test_looking_again_changes_nothing() -> None:
    cluster = settled()
    first = status(cluster.observed, {})
    cluster.resource["status"] = first
    cluster.now += timedelta(minutes=10)

    assert status(cluster.observed, {}) == first


def test_time_of_a_condition_is_that_of_its_last_change() -> None:
    cluster = settled()
    cluster.resource["status"] = status(cluster.observed, {})
    cluster.now += timedelta(minutes=10)
    cluster.run(INGEST, ready=0)
    found = conditions(cluster)

    assert found["Ready"]["lastTransitionTime"] == "2026-11-24T12:10:00Z"
    assert found["Accepted"]["lastTransitionTime"] == "2026-11-24T12:00:00Z"


LABELS = {"ari-proxy.io/server": "asterisk-a", "app.kubernetes.io/component": "ingest"}


def waiting(reason: str, message: str = "") -> list[dict[str, Any]]:
    return [{"state": {"waiting": {"reason": reason, "message": message}}}]


@pytest.mark.parametrize(
    ("found", "complaint", "reason", "word"),
    [
        (pod("p", labels=LABELS, ready=False), "", "Starting", "are starting"),
        (pod("p", labels=LABELS, ready=False), "bus: none", "NotReady", "p: bus: none"),
        (
            pod("p", labels=LABELS, containerStatuses=waiting("ImagePullBackOff", "no such")),
            "",
            "ImagePullBackOff",
            "no such",
        ),
        (
            pod("p", labels=LABELS, containerStatuses=waiting("ContainerCreating")),
            "",
            "Starting",
            "are starting",
        ),
        (
            pod(
                "p",
                labels=LABELS,
                conditions=[{"type": "PodScheduled", "status": "False", "message": "no node"}],
            ),
            "",
            "Unschedulable",
            "no node",
        ),
    ],
    ids=["starting", "complaint", "image", "creating", "unschedulable"],
)
def test_reason_why_a_server_is_not_served(
    found: dict[str, Any], complaint: str, reason: str, word: str
) -> None:
    cluster = settled()
    cluster.run(INGEST, ready=0)
    cluster.pods = [found]
    cluster.complaints = {"p": complaint} if complaint else {}
    ready = conditions(cluster)["Ready"]

    assert (ready["status"], ready["reason"]) == ("False", reason)
    assert word in ready["message"]
    assert "asterisk-a" in ready["message"]


def test_pods_that_are_refused_are_told() -> None:
    cluster = settled()
    cluster.run(INGEST, ready=0)
    refusal = {"type": "ReplicaFailure", "status": "True", "reason": "FailedCreate"}
    cluster.of("Deployment", INGEST)["status"]["conditions"] = [
        {"type": "Progressing", "status": "True"},
        {**refusal, "message": "quota"},
    ]

    assert conditions(cluster)["Ready"]["reason"] == "FailedCreate"


def test_missing_secret() -> None:
    cluster = settled()
    cluster.secrets["asterisk-ari"] = None
    ready = conditions(cluster)["Ready"]

    assert ready["reason"] == "SecretMissing"


def test_failed_apply_is_told_though_the_old_one_serves() -> None:
    cluster = settled()
    found = status(cluster.observed, {("Deployment", INGEST): "spec.x: Forbidden"})
    ready = {item["type"]: item for item in found["conditions"]}["Ready"]
    server = {item["type"]: item for item in found["servers"][0]["conditions"]}

    assert (ready["reason"], ready["status"]) == ("ApplyFailed", "False")
    assert (server["IngestReady"]["reason"], server["IngestReady"]["status"]) == (
        "ApplyFailed",
        "True",
    )
    assert server["CommandReady"]["reason"] == "Serving"


def test_rollout_is_progress_and_no_failure() -> None:
    cluster = settled()
    cluster.of("Deployment", INGEST)["status"]["updatedReplicas"] = 0
    found = conditions(cluster)

    assert found["Ready"]["status"] == "True"
    assert found["Progressing"]["reason"] == "RollingOut"


def test_standby_that_is_missing_is_a_degradation() -> None:
    cluster = settled("standby")
    cluster.run("standby-ingest-asterisk-a", ready=1)
    found = conditions(cluster)

    assert found["Ready"]["status"] == "True"
    assert found["Degraded"]["status"] == "True"


def test_conflict_is_told_and_not_accepted() -> None:
    cluster = Cluster()
    cluster.rivals = {"asterisk-a": "voice/elder"}
    found = conditions(cluster)

    assert found["Accepted"]["reason"] == "ServerIdConflict"
    assert "voice/elder" in found["Ready"]["message"]


def test_selector_that_finds_nothing() -> None:
    ready = conditions(Cluster("discovery"))["Ready"]

    assert ready["reason"] == "NoServersFound"
    assert "app=asterisk" in ready["message"]


def test_suspended_resource_tells_how_it_is() -> None:
    cluster = settled()
    cluster.resource["spec"]["suspend"] = True
    found = conditions(cluster)

    assert found["Suspended"]["status"] == "True"
    assert found["Ready"]["status"] == "True"


def test_draining_server_is_shown() -> None:
    cluster = settled("discovery")
    cluster.asterisk_pods = [pod("asterisk-0")]
    cluster.settle()
    cluster.asterisk_pods = []
    (server,) = status(cluster.observed, {})["servers"]

    assert server["drainingSince"] == "2026-11-24T12:00:00Z"
    assert conditions(cluster)["Progressing"]["reason"] == "Draining"


def test_drain_that_waits_for_an_answer_says_so() -> None:
    cluster = settled("discovery")
    cluster.asterisk_pods = [pod("asterisk-0")]
    cluster.settle()
    cluster.asterisk_pods = []
    labels = {"ari-proxy.io/server": "asterisk-0", "app.kubernetes.io/component": "ingest"}
    cluster.pods = [
        pod("fails", labels=labels),
        pod("starts", labels=labels, phase="Pending", podIP=""),
        pod("tells", labels=labels),
    ]
    cluster.dialogs = {"tells": 0}
    cluster.silences = {
        Silence("dialogs", "fails", "it answers 500 to /dialogs/count"),
        Silence("complaint", "tells", "it can't be reached: Connection refused"),
    }

    assert conditions(cluster)["Progressing"]["message"] == (
        "asterisk-0 waits for its dialogs to end; "
        "fails does not tell how many it has: it answers 500 to /dialogs/count; "
        "starts does not tell how many it has: it has not started yet"
    )


# Events


def event_reasons(former: Cluster | None, current: Cluster) -> list[str]:
    before = list(conditions(former).values()) if former else []
    after = list(conditions(current).values())
    return [item["reason"] for item in outcomes.changed(before, after)]


def test_outcomes_are_told_once() -> None:
    ready, broken = settled(), settled()
    broken.secrets["asterisk-ari"] = None
    starting = settled()
    starting.run(INGEST, ready=0)

    assert event_reasons(None, starting) == []
    assert event_reasons(starting, ready) == ["AllServersReady"]
    assert event_reasons(ready, ready) == []
    assert event_reasons(ready, broken) == ["SecretMissing"]
    assert event_reasons(broken, broken) == []
    assert event_reasons(None, broken) == ["SecretMissing"]


def test_event_is_one_of_kubernetes() -> None:
    cluster = settled()
    cluster.secrets["asterisk-ari"] = None
    ready = conditions(cluster)["Ready"]
    event = outcomes.event(proxy(), ready, cluster.now, lambda _: "AbC")

    assert event["metadata"] == {"name": "minimal.abc", "namespace": "voice"}
    assert (event["type"], event["reason"]) == ("Warning", "SecretMissing")
    assert event["regarding"]["name"] == "minimal"
