"""A component of a server."""

from tests.support.resources import Cluster, component


def test_resource_owns_its_objects() -> None:
    item = component()
    metadata = item.head("v1", "ConfigMap")["metadata"]
    (owner,) = metadata["ownerReferences"]

    assert (owner["uid"], owner["controller"]) == ("uid-minimal", True)
    assert (metadata["namespace"], metadata["name"]) == ("voice", "minimal-ingest-asterisk-a")


def test_image_is_the_default_unless_the_spec_names_one() -> None:
    assert component("command").image == "command:1"
    assert component("ingest", ingest={"image": "mine:2"}).image == "mine:2"


def test_only_command_is_scaled() -> None:
    command = {"autoscaling": {"maxReplicas": 3}}

    assert component("command", command=command).autoscaling is not None
    assert component("ingest", command=command).autoscaling is None


def test_every_child_has_its_owner_and_a_name_that_fits() -> None:
    server = {
        "name": "s" * 30,
        "ari": {"url": "http://a/ari", "credentialsSecretRef": {"name": "asterisk-ari"}},
        "applications": ["a"],
    }
    cluster = Cluster("standby", servers=[server])
    cluster.resource["metadata"]["name"] = "n" * 20
    cluster.settle()

    for key, item in cluster.children.items():
        (owner,) = item["metadata"]["ownerReferences"]
        assert owner["controller"]
        assert owner["uid"] == "uid-standby"
        assert len(key.name) <= 63
        assert all(len(value) <= 63 for value in item["metadata"]["labels"].values())
