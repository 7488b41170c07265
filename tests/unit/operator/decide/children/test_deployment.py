"""The Deployment of a component."""

from dataclasses import replace

import pytest

from ari_proxy.operator.decide.children.deployment import deployment
from tests.support.resources import component

SCALED = {"autoscaling": {"minReplicas": 2, "maxReplicas": 5}}


def test_new_pod_starts_before_the_old_one_stops() -> None:
    strategy = deployment(component())["spec"]["strategy"]

    assert strategy["rollingUpdate"] == {"maxSurge": 1, "maxUnavailable": 0}


def test_selector_matches_the_template() -> None:
    spec = deployment(component())["spec"]
    labels = spec["template"]["metadata"]["labels"]

    assert spec["selector"]["matchLabels"].items() <= labels.items()


def test_replicas_are_those_of_the_spec() -> None:
    live = deployment(component(ingest={"replicas": 5}))

    assert deployment(component(ingest={"replicas": 2}), live)["spec"]["replicas"] == 2


def test_new_deployment_starts_with_the_autoscalers_minimum() -> None:
    found = deployment(component("command", command=SCALED))

    assert found["spec"]["replicas"] == 2
    assert "resourceVersion" not in found["metadata"]


@pytest.mark.parametrize("replicas", [0, 1, 7])
def test_number_that_the_spec_leaves_out_is_somebody_elses(replicas: int) -> None:
    """Of KEDA, which may scale to 0, or of an autoscaler of one's own."""
    live = {"spec": {"replicas": replicas}, "metadata": {"resourceVersion": "7"}}
    found = deployment(component("command"), live)

    assert found["spec"]["replicas"] == replicas
    assert found["metadata"]["resourceVersion"] == "7"
    assert deployment(component("command"))["spec"]["replicas"] == 1


def test_number_of_ingests_is_always_the_specs() -> None:
    """Without a Lease, which a second one needs, both would serve."""
    live = {"spec": {"replicas": 7}, "metadata": {"resourceVersion": "7"}}

    assert deployment(component("ingest"), live)["spec"]["replicas"] == 1


def test_autoscaled_deployment_without_pods_is_scaled_up() -> None:
    """An autoscaler does nothing while its target has no pods."""
    live = {"spec": {"replicas": 0}, "metadata": {"resourceVersion": "7"}}

    assert deployment(component("command", command=SCALED), live)["spec"]["replicas"] == 2


def test_autoscalers_number_is_kept() -> None:
    live = {"spec": {"replicas": 4}, "metadata": {"resourceVersion": "7"}}
    found = deployment(component("command", command=SCALED), live)

    assert found["spec"]["replicas"] == 4
    # Applied only to the version that was read: the autoscaler may have scaled it meanwhile.
    assert found["metadata"]["resourceVersion"] == "7"


def test_pace_and_history_are_those_of_the_spec() -> None:
    workload = {"minReadySeconds": 20, "revisionHistoryLimit": 0}
    spec = deployment(component(ingest=workload))["spec"]

    assert (spec["minReadySeconds"], spec["revisionHistoryLimit"]) == (20, 0)
    assert "minReadySeconds" not in deployment(component())["spec"]


@pytest.mark.parametrize(("asked", "applied"), [(0, 10), (5, 10), (20, 20)])
def test_shared_pods_have_the_time_until_all_their_servers_are_there(
    asked: int, applied: int
) -> None:
    alone = component(ingest={"minReadySeconds": asked})
    found = deployment(replace(alone, slot=replace(alone.slot, is_shared=True)))

    assert found["spec"]["minReadySeconds"] == applied
