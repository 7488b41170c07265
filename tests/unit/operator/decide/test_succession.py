"""What becomes of an Asterisk and its dialogs when its server is removed or renamed."""

import json
from datetime import timedelta
from typing import Any

import pytest

from ari_proxy.operator import names
from ari_proxy.operator.decide.deletion import FINALIZER
from ari_proxy.operator.objects import ObjectKey, key_of
from tests.support.resources import Cluster, execute, labels_of, pod

INGEST = "minimal-ingest-asterisk-a"
KEYS = [("ConfigMap", INGEST), ("Deployment", INGEST)]


def served(dialogs: int = 1, **spec: Any) -> Cluster:
    """Return a cluster in which a server has calls."""
    cluster = Cluster(**spec)
    cluster.settle()
    cluster.pods = [pod("ingest", labels=labels_of("asterisk-a"))]
    cluster.dialogs = {"ingest": dialogs}
    return cluster


def renamed(cluster: Cluster, **fields: Any) -> Cluster:
    (server,) = cluster.resource["spec"]["servers"]
    cluster.resource["spec"]["servers"] = [{**server, "name": "renamed", **fields}]
    return cluster


def deleted(cluster: Cluster, seconds: float = 0) -> Cluster:
    since = (cluster.now - timedelta(seconds=seconds)).isoformat()
    cluster.resource["metadata"] |= {"deletionTimestamp": since, "finalizers": [FINALIZER]}
    return cluster


# Final ingests


def test_ingest_of_a_removed_server_becomes_its_last_one() -> None:
    cluster = served()
    cluster.resource["spec"]["servers"][0]["name"] = "other"
    cluster.resource["spec"]["servers"][0]["ari"]["url"] = "http://other/ari"
    steps = cluster.plan()
    execute(cluster, steps)

    assert [key_of(item) for item, _ in steps.patches] == KEYS
    text = cluster.of("ConfigMap", INGEST)["data"]["config.json"]
    annotations = cluster.of("Deployment", INGEST)["spec"]["template"]["metadata"]["annotations"]
    assert json.loads(text)["ingest"]["final"] is True
    assert json.loads(text)["server_id"] == "asterisk-a"
    assert annotations[names.SETTINGS] == names.digest(text)
    assert cluster.plan().patches == ()


def test_server_that_is_desired_again_is_no_longer_final() -> None:
    cluster = served()
    (server,) = cluster.resource["spec"]["servers"]
    cluster.resource["spec"]["servers"] = [{**server, "name": "other"}]
    execute(cluster, cluster.plan())
    cluster.resource["spec"]["servers"] = [server]
    cluster.settle()

    assert '"final"' not in cluster.of("ConfigMap", INGEST)["data"]["config.json"]


@pytest.mark.parametrize("text", ["", "{", "[]", "{}"])
def test_settings_that_cannot_be_read_are_left_alone(text: str) -> None:
    cluster = deleted(served())
    cluster.of("ConfigMap", INGEST)["data"]["config.json"] = text

    assert cluster.plan().patches == ()


def test_ingest_without_its_deployment_is_left_alone() -> None:
    cluster = deleted(served())
    del cluster.children[ObjectKey("Deployment", INGEST)]

    assert cluster.plan().patches == ()


def test_pod_template_without_annotations_gets_the_stamp_of_the_last_settings() -> None:
    cluster = deleted(served())
    del cluster.of("Deployment", INGEST)["spec"]["template"]["metadata"]["annotations"]
    execute(cluster, cluster.plan())

    assert cluster.plan().patches == ()


def test_discovered_server_may_come_back() -> None:
    cluster = Cluster("discovery")
    cluster.asterisk_pods = [pod("asterisk-0")]
    cluster.settle()
    cluster.asterisk_pods = []
    cluster.pods = [pod("ingest", labels=labels_of("asterisk-0"))]
    assert cluster.plan().patches == ()

    since = (cluster.now - timedelta(seconds=31)).isoformat()
    cluster.resource["status"] = {"servers": [{"name": "asterisk-0", "drainingSince": since}]}
    assert len(cluster.plan().patches) == 2


# Deletion


def test_resource_is_held_if_it_asks_for_that() -> None:
    assert served(drainOnDeletion=True).plan().is_held
    assert served(drainOnDeletion=True, suspend=True).plan().is_held
    assert not served().plan().is_held


@pytest.mark.parametrize("suspend", [False, True])
def test_deleted_resource_waits_for_its_dialogs(*, suspend: bool) -> None:
    cluster = deleted(served(suspend=False))
    cluster.resource["spec"]["suspend"] = suspend
    steps = cluster.plan()

    assert (steps.apply, steps.delete) == ((), ())
    assert [key_of(item) for item, _ in steps.patches] == KEYS
    assert (steps.is_held, steps.recheck_seconds) == (True, 5)


@pytest.mark.parametrize(("dialogs", "seconds"), [(0, 0), (3, 600)])
def test_deleted_resource_goes_when_its_dialogs_or_its_time_are_over(
    dialogs: int, seconds: float
) -> None:
    cluster = deleted(served(dialogs), seconds)

    assert not cluster.plan().is_held
    cluster.settle()
    assert cluster.named("Deployment") == []


def test_what_servers_share_stays_until_the_last_one_has_drained() -> None:
    (server,) = Cluster().resource["spec"]["servers"]
    cluster = served(servers=[server, {**server, "name": "b"}], ingest={"replicas": 2})
    steps = deleted(cluster).plan()

    assert {key.name for key in steps.delete} == {"minimal-ingest-b", "minimal-command-b"}
    assert steps.is_held


def test_deleted_resource_without_pods_goes_at_once() -> None:
    assert not deleted(Cluster()).plan().is_held


# Another name


def test_new_name_is_served_when_the_former_one_has_drained() -> None:
    cluster = renamed(served())
    steps = cluster.plan()

    assert not [item for item in steps.apply if item["kind"] == "Deployment"]
    refusal = steps.refusals[ObjectKey("Deployment", "minimal-ingest-renamed")]
    assert refusal.reason == "AwaitingDrain"
    assert "still served as asterisk-a" in refusal.message
    assert cluster.of("Deployment", INGEST)

    cluster.dialogs = {"ingest": 0}
    cluster.settle()
    cluster.settle()
    assert sorted(cluster.named("Deployment")) == [
        "minimal-command-renamed",
        "minimal-ingest-renamed",
    ]


def test_new_name_with_the_same_server_id_takes_the_dialogs_over() -> None:
    """Both ingests have one server_id, over which dialogs are handed over."""
    cluster = renamed(served(), serverId="asterisk-a")
    steps = cluster.plan()

    assert steps.refusals == {}
    assert steps.patches == ()
    assert "minimal-ingest-renamed" in [item["metadata"]["name"] for item in steps.apply]


def test_standby_of_the_former_name_would_take_them_back() -> None:
    cluster = renamed(served(ingest={"replicas": 2}), serverId="asterisk-a")

    assert cluster.plan().refusals


@pytest.mark.parametrize(
    "fields",
    [
        {"applications": ["other"]},
        {"ari": {"url": "http://other/ari", "credentialsSecretRef": {"name": "asterisk-ari"}}},
    ],
)
def test_another_application_or_asterisk_waits_for_nothing(fields: dict[str, Any]) -> None:
    assert renamed(served(), **fields).plan().refusals == {}


def test_server_that_is_deployed_is_not_taken_away() -> None:
    cluster = served()
    (server,) = cluster.resource["spec"]["servers"]
    cluster.resource["spec"]["servers"] = [server, {**server, "name": "twin"}]
    cluster.settle()
    cluster.resource["spec"]["servers"] = [{**server, "name": "twin"}]

    assert cluster.plan().refusals == {}
