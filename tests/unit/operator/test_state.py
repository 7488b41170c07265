"""The observed state of a resource."""

from ari_proxy.operator.objects import ObjectKey
from tests.support.resources import Cluster, labels_of, pod


def test_deployed_servers_are_those_with_deployments() -> None:
    cluster = Cluster("minimal")
    assert cluster.observed.deployed_servers == []
    cluster.settle()

    assert cluster.observed.deployed_servers == ["asterisk-a"]
    for name in cluster.named("Deployment"):
        del cluster.children[ObjectKey("Deployment", name)]

    assert cluster.observed.deployed_servers == []


def test_deployment_of_a_component() -> None:
    cluster = Cluster("minimal")
    assert cluster.observed.deployment("asterisk-a", "ingest") is None
    cluster.settle()
    found = cluster.observed.deployment("asterisk-a", "command")

    assert found == cluster.of("Deployment", "minimal-command-asterisk-a")


def test_pods_belong_to_a_component_of_a_server() -> None:
    cluster = Cluster("minimal")
    cluster.pods = [
        pod("ingest-a", labels=labels_of("a")),
        pod("command-a", labels=labels_of("a", "command")),
        pod("ingest-b", labels=labels_of("b")),
    ]
    found = cluster.observed.pods_of("a", "ingest")

    assert [item["metadata"]["name"] for item in found] == ["ingest-a"]


def test_finished_pods_are_no_ingests() -> None:
    cluster = Cluster("minimal")
    cluster.pods = [
        pod("starting", labels=labels_of("a"), phase="Pending", podIP=""),
        pod("running", labels=labels_of("a")),
        pod("over", labels=labels_of("a"), phase="Failed"),
    ]

    assert cluster.observed.ingests_of("a") == ["starting", "running"]
