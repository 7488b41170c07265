"""The observed state of a resource."""

from ari_proxy.operator.objects import ObjectKey
from tests.support.resources import Cluster, labels_of, pod
from tests.support.shared_pods import SharedCluster


def test_deployed_servers_are_those_with_deployments() -> None:
    cluster = Cluster("minimal")
    assert cluster.observed.deployed_servers == []
    cluster.settle()

    assert cluster.observed.deployed_servers == ["asterisk-a"]
    for name in cluster.named("Deployment"):
        del cluster.children[ObjectKey("Deployment", name)]

    assert cluster.observed.deployed_servers == []


def test_servers_of_a_shared_slot_are_known_though_its_settings_are_gone() -> None:
    cluster = SharedCluster("a", "b", "c", serversPerPod=2)
    cluster.until_settled()
    deployed = cluster.observed.deployed
    del cluster.children[ObjectKey("ConfigMap", "minimal-ingest-0")]
    assert cluster.observed.deployed == deployed
    del cluster.children[ObjectKey("ConfigMap", "minimal-command-0")]

    assert cluster.observed.deployed == deployed
    assert cluster.places == {"0": ["a", "b"], "1": ["c"]}


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
