"""The status of servers that share pods: each has its own."""

from pathlib import Path
from typing import Any

import yaml

from ari_proxy.operator.report.status import status
from ari_proxy.operator.state import QueryFailure
from tests.support.shared_pods import SharedCluster

ROOT = Path(__file__).parents[4]


def settled(*servers: str, **spec: Any) -> SharedCluster:
    cluster = SharedCluster(*servers, **spec)
    cluster.until_settled()
    return cluster


def shown(cluster: SharedCluster) -> dict[str, Any]:
    return status(cluster.observed, {})


def conditions(item: dict[str, Any]) -> dict[str, tuple[str, str]]:
    return {found["type"]: (found["status"], found["reason"]) for found in item["conditions"]}


def test_all_servers_are_ready_in_their_slots() -> None:
    found = shown(settled("a", "b", "c", serversPerPod=2))

    assert (found["serverCount"], found["readyServerCount"]) == (3, 3)
    assert [(item["name"], item["slot"]) for item in found["servers"]] == [
        ("a", "0"),
        ("b", "0"),
        ("c", "1"),
    ]
    assert found["servers"][1]["ingest"]["deployment"] == "minimal-ingest-0"
    assert conditions(found)["Ready"] == ("True", "AllServersReady")
    assert conditions(found)["Progressing"] == ("False", "Settled")


def test_server_that_its_ready_pod_cannot_serve_is_not_ready() -> None:
    cluster = settled("a", "b")
    cluster.problems = {"b": "websocket: it is not connected"}
    cluster.run_pods()
    found = shown(cluster)
    a, b = found["servers"]

    assert found["readyServerCount"] == 1
    assert conditions(a)["IngestReady"] == ("True", "Serving")
    assert conditions(b)["IngestReady"] == ("False", "NotReady")
    message = next(item["message"] for item in b["conditions"] if item["type"] == "IngestReady")
    assert message == "minimal-ingest-0: websocket: it is not connected"
    assert b["ingest"]["readyReplicas"] == 0
    assert conditions(found)["Ready"] == ("False", "NotReady")
    assert conditions(found)["Degraded"] == ("True", "ServersImpaired")


def test_pod_that_does_not_answer_is_as_ready_as_kubernetes_says() -> None:
    cluster = settled("a", "b")
    cluster.server_checks = {}
    cluster.query_failures = {QueryFailure("checks", "minimal-ingest-0", "no answer within 3 s")}

    assert shown(cluster)["readyServerCount"] == 2


def test_pod_without_the_settings_of_a_new_server_does_not_serve_it() -> None:
    cluster = settled("a")
    cluster.serve("a", "b")
    checks = cluster.server_checks
    cluster.settle()
    cluster.server_checks = checks
    b = shown(cluster)["servers"][1]

    assert conditions(b)["IngestReady"] == ("False", "NotReady")


def test_server_is_served_by_its_former_pods_while_it_moves() -> None:
    cluster = settled("a", "b", pods="PerServer")
    cluster.resource["spec"]["pods"] = "Shared"
    cluster.problems = {"b": "websocket: it is not connected"}
    cluster.step()
    found = shown(cluster)
    a, b = found["servers"]

    assert conditions(b)["IngestReady"] == ("True", "Serving")
    assert b["ingest"]["deployment"] == "minimal-ingest-b"
    assert a["ingest"]["deployment"] == "minimal-ingest-0"
    assert conditions(found)["Progressing"] == ("True", "RollingOut")


def test_ingests_that_none_is_active_of_are_told_by_server() -> None:
    cluster = settled("a", "b", ingest={"replicas": 2})
    cluster.active = {"minimal-ingest-0?server=a": True, "minimal-ingest-0?server=b": False}
    a, b = shown(cluster)["servers"]

    assert conditions(a)["IngestReady"] == ("True", "Serving")
    assert conditions(b)["IngestReady"] == ("False", "NobodyActive")


def test_ingest_that_does_not_report_the_dialogs_of_a_removed_server_is_named() -> None:
    cluster = settled("a", "b")
    cluster.serve("a")
    cluster.dialogs = {}
    found = {item["type"]: item["message"] for item in shown(cluster)["conditions"]}

    assert found["Progressing"] == (
        "draining until the dialogs end: b; minimal-ingest-0?server=b does not report its open "
        "dialogs: it has not started yet"
    )


def test_servers_that_cannot_share_pods_are_not_accepted() -> None:
    cluster = SharedCluster("a", "b")
    a, b = cluster.resource["spec"]["servers"]
    b["ari"] = a["ari"]
    found = status(cluster.observed, cluster.plan().refusals)

    assert conditions(found)["Accepted"] == ("False", "ServersNotShareable")
    assert conditions(found)["Stalled"] == ("True", "ServersNotShareable")


def test_entries_are_as_many_as_the_status_takes() -> None:
    """The start of a drain is recorded there alone: those that drain have the first right."""
    crd = yaml.safe_load((ROOT / "k8s" / "crds" / "ariproxies.yaml").read_text())
    schema = crd["spec"]["versions"][0]["schema"]["openAPIV3Schema"]["properties"]
    limit = schema["status"]["properties"]["servers"]["maxItems"]
    names = [f"s{number:03}" for number in range(limit)]
    cluster = settled("gone")
    cluster.calls = {"gone": 1}
    cluster.run_pods()
    cluster.serve(*names)
    found = shown(cluster)

    assert found["serverCount"] == limit
    assert len(found["servers"]) == limit
    assert found["servers"][-1]["name"] == "gone"
    assert found["servers"][-1]["drainingSince"]


def test_reason_of_servers_that_cannot_share_pods_is_documented() -> None:
    lines = (ROOT / "docs" / "reference" / "ariproxy.md").read_text().splitlines()
    (accepted,) = (line for line in lines if line.startswith("| `Accepted` |"))

    assert "`ServersNotShareable`" in accepted
