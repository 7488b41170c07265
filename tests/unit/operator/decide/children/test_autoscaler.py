"""The HorizontalPodAutoscaler of a command Deployment."""

from ari_proxy.operator.decide.children.autoscaler import autoscaler
from tests.support.resources import component


def test_there_is_none_unless_the_spec_has_it() -> None:
    scaled = {"autoscaling": {"maxReplicas": 5}}

    assert autoscaler(component("command")) is None
    assert autoscaler(component("ingest", command=scaled)) is None


def test_it_scales_the_deployment_within_the_limits() -> None:
    scaling = {"minReplicas": 2, "maxReplicas": 5, "targetCPUUtilizationPercentage": 60}
    item = component("command", command={"autoscaling": scaling})
    found = autoscaler(item)

    assert found is not None
    spec = found["spec"]
    assert spec["scaleTargetRef"] == {
        "apiVersion": "apps/v1",
        "kind": "Deployment",
        "name": item.name,
    }
    assert (spec["minReplicas"], spec["maxReplicas"]) == (2, 5)
    assert spec["metrics"][0]["resource"]["target"]["averageUtilization"] == 60


def test_maximum_is_at_least_the_minimum() -> None:
    item = component("command", command={"autoscaling": {"minReplicas": 4, "maxReplicas": 2}})
    found = autoscaler(item)

    assert found is not None
    assert found["spec"]["maxReplicas"] == 4


def test_its_speed_is_the_specs() -> None:
    behavior = {"scaleDown": {"stabilizationWindowSeconds": 600}}
    scaling = {"maxReplicas": 5, "behavior": behavior}
    found = autoscaler(component("command", command={"autoscaling": scaling}))

    assert found is not None
    assert found["spec"]["behavior"] == behavior
