"""What the installation sets for all resources, and a resource may set otherwise."""

from typing import Any

import pytest

from ari_proxy.operator import names
from ari_proxy.operator.decide.children.pod_template import pod_template
from ari_proxy.operator.decide.defaults import Defaults, WorkloadDefaults
from ari_proxy.operator.decide.plan import plan
from ari_proxy.operator.model import PodTemplateSpec
from tests.support.resources import IMAGES, Cluster, component

#: As the chart's `openshift: true` has it.
OPENSHIFT = PodTemplateSpec(
    spec={"securityContext": {"runAsUser": None, "runAsGroup": None, "fsGroup": None}}
)
SMALL = {"requests": {"cpu": "10m"}}


def template(defaults: Defaults, part: names.Component = "ingest", **spec: Any) -> dict[str, Any]:
    found = component(part, defaults=defaults, **spec)
    pod: dict[str, Any] = pod_template(found)["spec"]
    return pod


@pytest.mark.parametrize("part", names.COMPONENTS)
def test_user_is_left_to_the_platform(part: names.Component) -> None:
    workload = WorkloadDefaults(pod_template=OPENSHIFT)
    context = template(Defaults(ingest=workload, command=workload), part)["securityContext"]
    assert context == {"runAsNonRoot": True, "seccompProfile": {"type": "RuntimeDefault"}}


def test_resource_wins() -> None:
    tolerations = [{"key": "voice", "operator": "Exists"}]
    workload = WorkloadDefaults(
        resources=SMALL,
        pod_template=PodTemplateSpec(spec={"priorityClassName": "low", "tolerations": tolerations}),
    )
    own = {"podTemplate": {"spec": {"priorityClassName": "high"}}}

    pod = template(Defaults(ingest=workload), ingest=own)
    assert pod["priorityClassName"] == "high"
    assert pod["tolerations"] == tolerations
    assert pod["containers"][0]["resources"] == SMALL
    own["resources"] = {"requests": {"cpu": "2"}}
    pod = template(Defaults(ingest=workload), ingest=own)
    assert pod["containers"][0]["resources"] == own["resources"]


def test_defaults_of_one_component_are_not_those_of_the_other() -> None:
    defaults = Defaults(ingest=WorkloadDefaults(resources=SMALL))
    assert template(defaults, "command")["containers"][0]["resources"] != SMALL


def test_annotations_of_a_workload_identity() -> None:
    annotations = {"eks.amazonaws.com/role-arn": "arn:aws:iam::111122223333:role/voice"}
    workload = WorkloadDefaults(service_account_annotations=annotations)
    steps = plan(Cluster().observed, IMAGES, Defaults(command=workload))

    accounts = {
        item["metadata"]["name"]: item["metadata"].get("annotations", {})
        for item in steps.apply
        if item["kind"] == "ServiceAccount"
    }
    assert accounts == {"minimal-command": annotations, "minimal-ingest": {}}


def test_network_policy_goes_when_the_installation_makes_none() -> None:
    cluster = Cluster()
    cluster.defaults = Defaults(admin_peers=())
    cluster.settle()
    assert cluster.named("NetworkPolicy") == ["minimal"]
    assert cluster.settle() == []
    cluster.defaults = Defaults()
    cluster.settle()
    assert cluster.named("NetworkPolicy") == []


def test_mistake_in_the_installations_pod_template_is_told_as_its_own() -> None:
    cluster = Cluster()
    wrong = PodTemplateSpec(spec={"containers": "x"})
    cluster.defaults = Defaults(ingest=WorkloadDefaults(pod_template=wrong))

    (refusal,) = cluster.plan().refusals.values()
    assert refusal.reason == "PodTemplateInvalid"
    assert refusal.message == "the chart's value ingest.podTemplate.spec.containers must be a list"
