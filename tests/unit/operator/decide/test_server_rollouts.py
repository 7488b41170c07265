"""How a new pod template goes through the servers of a resource."""

from typing import Any

import pytest

from ari_proxy.operator import names
from ari_proxy.operator.decide.children.component import Images
from ari_proxy.operator.decide.rollout import Elsewhere
from ari_proxy.operator.decide.server_rollouts import rolling_servers
from ari_proxy.operator.objects import Object, ObjectKey
from tests.support.resources import Cluster, labels_of, pod

NAMES = ("a", "b", "c")


def server(name: str) -> dict[str, Any]:
    ari = {"url": f"http://{name}/ari", "credentialsSecretRef": {"name": "asterisk-ari"}}
    return {"name": name, "ari": ari, "applications": ["demo"]}


def settled(**spec: Any) -> Cluster:
    """Return three servers, all served."""
    cluster = Cluster(servers=[server(name) for name in NAMES], **spec)
    cluster.settle()
    return cluster


def image(cluster: Cluster, name: str) -> None:
    cluster.resource["spec"]["ingest"] = {"image": name}


def ingest(cluster: Cluster, name: str) -> Object:
    return cluster.of("Deployment", f"minimal-ingest-{name}")


def begin(cluster: Cluster) -> list[str]:
    """Execute a plan whose new pods do not become ready; return the servers with a new ingest."""
    applied = cluster.settle()
    begun = [
        key.name.removeprefix("minimal-ingest-")
        for key in applied
        if key.kind == "Deployment" and "-ingest-" in key.name
    ]
    for name in begun:
        ingest(cluster, name)["status"] |= {"replicas": 2, "updatedReplicas": 1, "readyReplicas": 1}
    return begun


def fail(cluster: Cluster, name: str) -> None:
    condition = {
        "type": "Progressing",
        "status": "False",
        "reason": "ProgressDeadlineExceeded",
        "message": "it has timed out progressing",
    }
    ingest(cluster, name)["status"]["conditions"] = [condition]


def test_new_servers_begin_at_once() -> None:
    cluster = settled()

    assert cluster.named("Deployment") == [
        f"minimal-{component}-{name}" for name in NAMES for component in ("ingest", "command")
    ]


def test_one_server_after_another_gets_a_new_image() -> None:
    cluster = settled()
    image(cluster, "ingest:2")

    assert begin(cluster) == ["a"]
    assert begin(cluster) == []
    cluster.run("minimal-ingest-a")
    assert begin(cluster) == ["b"]
    cluster.run("minimal-ingest-b")
    assert begin(cluster) == ["c"]
    cluster.run("minimal-ingest-c")
    assert cluster.plan().apply == ()


@pytest.mark.parametrize(("at_once", "begun"), [(2, 2), ("67%", 3), ("100%", 3), (9, 3)])
def test_several_begin_at_once_if_allowed(at_once: int | str, begun: int) -> None:
    cluster = settled(rollout={"maxServersAtOnce": at_once})
    image(cluster, "ingest:2")

    assert len(begin(cluster)) == begun


def test_nothing_of_a_waiting_server_changes() -> None:
    cluster = settled()
    before = {key: item for key, item in cluster.children.items() if key.name.endswith("-c")}
    cluster.resource["spec"] |= {"logging": {"level": "Debug"}}
    begin(cluster)

    assert {key: cluster.children[key] for key in before} == before
    # A pod of the former template that is started again needs it.
    del cluster.children[ObjectKey("ConfigMap", "minimal-ingest-c")]
    assert cluster.settle() == [("ConfigMap", "minimal-ingest-c")]


def test_failure_stops_until_the_spec_changes() -> None:
    cluster = settled()
    image(cluster, "ingest:bad")
    begin(cluster)
    fail(cluster, "a")

    steps = cluster.plan()
    assert steps.apply == ()
    assert (steps.rollout.failed, steps.rollout.waiting) == (("a",), ("b", "c"))
    image(cluster, "ingest:3")
    assert begin(cluster) == ["a"]


def test_change_of_the_spec_begins_with_the_server_that_has_failed() -> None:
    cluster = settled()
    image(cluster, "ingest:bad")
    begin(cluster)
    cluster.run("minimal-ingest-a")
    assert begin(cluster) == ["b"]
    fail(cluster, "b")
    image(cluster, "ingest:3")

    assert begin(cluster) == ["b"]


def test_failure_stops_until_its_pods_become_ready() -> None:
    cluster = settled()
    image(cluster, "ingest:slow")
    begin(cluster)
    fail(cluster, "a")
    assert begin(cluster) == []
    cluster.run("minimal-ingest-a")

    assert begin(cluster) == ["b"]


def with_a_secret_for_a() -> Cluster:
    """Return a settled cluster whose first server has a Secret of its own."""
    cluster = settled()
    cluster.resource["spec"]["servers"][0]["ari"]["credentialsSecretRef"]["name"] = "asterisk-a"
    cluster.secrets["asterisk-a"] = {"username": "", "password": ""}
    for _ in NAMES:
        cluster.settle()
    return cluster


def test_failure_of_a_server_that_may_not_be_changed_does_not_hinder_the_mend() -> None:
    cluster = with_a_secret_for_a()
    image(cluster, "ingest:bad")
    assert begin(cluster) == ["a"]
    fail(cluster, "a")
    cluster.secrets["asterisk-a"] = None

    assert cluster.plan().rollout.failed == ("a",)
    assert begin(cluster) == []
    image(cluster, "ingest:3")
    assert begin(cluster) == ["b"]


def test_server_that_may_not_be_changed_and_is_not_served_does_not_hinder_the_mend() -> None:
    cluster = with_a_secret_for_a()
    image(cluster, "ingest:bad")
    cluster.settle()
    cluster.run("minimal-ingest-a", ready=0)
    cluster.secrets["asterisk-a"] = None

    assert begin(cluster) == []
    image(cluster, "ingest:3")
    assert begin(cluster) == ["b"]


def test_container_that_can_not_start_is_a_failure_at_once() -> None:
    cluster = settled(rollout={"maxServersAtOnce": 2})
    image(cluster, "ingest:bad")
    begin(cluster)
    cluster.run("minimal-ingest-b")
    waiting = {"waiting": {"reason": "ImagePullBackOff", "message": "no such image"}}
    statuses = [{"name": "ingest", "state": waiting}]
    cluster.pods = [pod("p", labels=labels_of("a"), ready=False, containerStatuses=statuses)]

    assert cluster.plan().rollout.failed == ("a",)
    assert begin(cluster) == []


def test_server_that_was_not_served_before_stops_nothing() -> None:
    """Its Asterisk is away: pods of any template are not ready."""
    cluster = settled()
    cluster.run("minimal-ingest-b", ready=0)
    image(cluster, "ingest:2")
    assert begin(cluster) == ["b"]
    cluster.run("minimal-ingest-b", ready=0)
    ingest(cluster, "b")["status"] |= {"replicas": 2, "updatedReplicas": 1}
    fail(cluster, "b")

    assert begin(cluster) == ["a"]
    cluster.run("minimal-ingest-a")
    assert begin(cluster) == ["c"]


def test_server_that_was_away_before_stops_no_change_of_one_component() -> None:
    """Its command is not ready either, and does not change."""
    cluster = settled()
    cluster.resource["spec"]["command"] = {"image": "command:2"}
    for _ in NAMES:
        cluster.settle()
    for component in ("ingest", "command"):
        cluster.run(f"minimal-{component}-b", ready=0)
    image(cluster, "ingest:2")
    assert begin(cluster) == ["b"]
    cluster.run("minimal-ingest-b", ready=0)

    assert begin(cluster) == ["a"]
    cluster.run("minimal-ingest-a")
    assert begin(cluster) == ["c"]


def test_server_that_has_never_been_served_stops_nothing() -> None:
    cluster = settled()
    cluster.resource["spec"]["servers"].append(server("d"))
    begin(cluster)
    cluster.run("minimal-ingest-d", ready=0)
    fail(cluster, "d")
    image(cluster, "ingest:2")

    assert begin(cluster) == ["d"]
    assert begin(cluster) == ["a"]


def test_template_that_breaks_servers_later_stops() -> None:
    cluster = settled()
    image(cluster, "ingest:2")
    begin(cluster)
    cluster.run("minimal-ingest-a", ready=0)

    assert begin(cluster) == []
    cluster.run("minimal-ingest-a")
    assert begin(cluster) == ["b"]


def test_server_that_serves_without_a_standby_stops_nothing() -> None:
    cluster = settled(ingest={"image": "ingest:1", "replicas": 2})
    cluster.resource["spec"]["ingest"]["image"] = "ingest:2"
    cluster.settle()
    # No node has room for its standby.
    cluster.run("minimal-ingest-a", ready=1)

    assert begin(cluster) == ["b"]


def test_server_that_holds_back_others_is_named() -> None:
    cluster = settled()
    image(cluster, "ingest:2")
    begin(cluster)
    cluster.run("minimal-ingest-a", ready=0)

    found = cluster.plan().rollout
    assert (found.unready, found.waiting) == (("a",), ("b", "c"))
    cluster.run("minimal-ingest-a")
    assert cluster.plan().rollout.unready == ()


def scaled_to_zero() -> Cluster:
    """Return three servers without executors, which KEDA has taken away."""
    cluster = settled(command={})
    for name in NAMES:
        cluster.of("Deployment", f"minimal-command-{name}")["spec"]["replicas"] = 0
        cluster.run(f"minimal-command-{name}")
    return cluster


def test_component_without_pods_tells_nothing_of_the_other_one() -> None:
    cluster = scaled_to_zero()
    image(cluster, "ingest:bad")

    assert begin(cluster) == ["a"]
    fail(cluster, "a")
    assert cluster.plan().rollout.failed == ("a",)
    assert begin(cluster) == []


def test_component_that_served_nobody_does_not_hide_the_other_one() -> None:
    cluster = settled()
    for name in NAMES:
        cluster.run(f"minimal-command-{name}", ready=0)
    image(cluster, "ingest:bad")
    assert begin(cluster) == ["a"]
    fail(cluster, "a")

    assert cluster.plan().rollout.failed == ("a",)
    assert begin(cluster) == []


def test_template_that_came_without_pods_is_judged_when_there_are_some() -> None:
    cluster = scaled_to_zero()
    cluster.resource["spec"]["command"] = {"image": "command:bad"}
    cluster.settle()
    cluster.of("Deployment", "minimal-command-a")["spec"]["replicas"] = 1
    cluster.run("minimal-command-a", ready=0)

    assert cluster.plan().rollout.unready == ("a",)


def test_change_of_one_server_does_not_wait_for_another_that_is_away() -> None:
    cluster = settled()
    image(cluster, "ingest:2")
    for name in NAMES:
        begin(cluster)
        cluster.run(f"minimal-ingest-{name}")
    cluster.run("minimal-ingest-a", ready=0)
    cluster.resource["spec"]["servers"][2]["applications"] = ["other"]

    assert begin(cluster) == ["c"]


def test_what_others_have_changed_is_restored_at_once() -> None:
    cluster = settled()
    image(cluster, "ingest:2")
    begin(cluster)
    ingest(cluster, "a")["spec"]["template"]["spec"]["containers"][0]["image"] = "other"
    applied = cluster.settle()

    assert ("Deployment", "minimal-ingest-a") in applied


def test_number_of_pods_does_not_wait() -> None:
    cluster = settled()
    cluster.resource["spec"]["command"] = {"replicas": 2}
    cluster.settle()

    assert {
        cluster.of("Deployment", f"minimal-command-{name}")["spec"]["replicas"] for name in NAMES
    } == {2}


def test_deployment_that_was_deleted_is_made_at_once() -> None:
    cluster = settled()
    image(cluster, "ingest:2")
    begin(cluster)
    del cluster.children[ObjectKey("Deployment", "minimal-command-c")]

    assert begin(cluster) == ["c"]


def test_template_of_a_former_version_of_the_operator_is_compared() -> None:
    cluster = settled()
    for key, item in cluster.children.items():
        if key.kind == "Deployment":
            for name in (names.TEMPLATE, names.COMMON_TEMPLATE, names.UNSERVED_BEFORE):
                item["metadata"]["annotations"].pop(name, None)
    assert len(cluster.settle()) == 6
    image(cluster, "ingest:2")
    for name in NAMES:
        del ingest(cluster, name)["metadata"]["annotations"][names.TEMPLATE]

    assert begin(cluster) == ["a"]


def test_servers_wait_for_those_of_other_resources() -> None:
    cluster = settled()
    image(cluster, "ingest:2")
    steps = cluster.plan(Elsewhere(limit=4, rolling=4))

    assert steps.apply == ()
    assert steps.rollout.is_queued
    assert cluster.plan(Elsewhere(limit=4, rolling=3, failed=9)).rollout.started == ("a",)


def test_new_image_of_the_installation_stops_when_it_fails_elsewhere() -> None:
    cluster = settled()
    cluster.images = Images(ingest="ingest:2", command="command:1")

    assert cluster.plan(Elsewhere(limit=4, failed=3)).rollout.started == ("a",)
    steps = cluster.plan(Elsewhere(limit=4, failed=4))
    assert steps.rollout.started == ()
    assert steps.rollout.is_of_installation


def test_what_a_former_operator_has_begun_is_known() -> None:
    cluster = settled()
    image(cluster, "ingest:2")
    begin(cluster)

    assert rolling_servers(cluster.children.values()) == ("a",)
    cluster.run("minimal-ingest-a")
    assert rolling_servers(cluster.children.values()) == ()


def test_suspended_resource_tells_all_that_it_withholds_after_a_failure() -> None:
    cluster = settled()
    image(cluster, "ingest:bad")
    begin(cluster)
    fail(cluster, "a")
    cluster.resource["spec"]["suspend"] = True

    deployments = [key.name for key in cluster.plan().withheld if key.kind == "Deployment"]
    assert deployments == ["minimal-ingest-b", "minimal-ingest-c"]
