"""What may be set for the operator's pod, and through it for the pods of all resources."""

import json
from typing import Any

import pytest
import yaml

from ari_proxy.operator.decide.children.network_policy import network_policy
from ari_proxy.operator.decide.children.pod_template import pod_template
from ari_proxy.operator.decide.defaults import Defaults, WorkloadDefaults
from ari_proxy.operator.model import PodTemplateSpec
from tests.charts.test_chart import container, environment, of, render
from tests.charts.test_null_values import EVERYTHING
from tests.support.resources import component, proxy

IDS = {"runAsUser", "runAsGroup", "fsGroup"}


def everything() -> list[dict[str, Any]]:
    return render("--values", str(EVERYTHING))


def operator(items: list[dict[str, Any]]) -> dict[str, Any]:
    (found,) = [
        item
        for item in of(items, "Deployment")
        if item["metadata"]["labels"]["app.kubernetes.io/component"] == "operator"
    ]
    return found


def defaults(items: list[dict[str, Any]], part: str) -> dict[str, Any]:
    containers = operator(items)["spec"]["template"]["spec"]["containers"]
    (value,) = [
        variable["value"]
        for variable in containers[0]["env"]
        if variable["name"] == f"ARI_PROXY_{part.upper()}_DEFAULTS"
    ]
    found: dict[str, Any] = json.loads(value)
    return found


# The operator's own


@pytest.mark.parametrize(
    "field",
    [
        "topologySpreadConstraints",
        "runtimeClassName",
        "dnsPolicy",
        "dnsConfig",
        "hostAliases",
        "terminationGracePeriodSeconds",
        "initContainers",
        "nodeSelector",
        "tolerations",
        "affinity",
        "priorityClassName",
    ],
)
def test_field_of_the_pod(field: str) -> None:
    values = yaml.safe_load(EVERYTHING.read_text())["operator"]
    assert operator(everything())["spec"]["template"]["spec"][field] == values[field]


def test_strategy_and_history() -> None:
    spec = operator(everything())["spec"]
    assert spec["strategy"] == {"type": "RollingUpdate"}
    assert spec["revisionHistoryLimit"] == 1


def test_no_history_is_kept_on_request() -> None:
    spec = operator(render("--set", "operator.revisionHistoryLimit=0"))["spec"]
    assert spec["revisionHistoryLimit"] == 0


def test_volumes_containers_and_variables() -> None:
    pod = operator(everything())["spec"]["template"]["spec"]
    own, beside = pod["containers"]
    assert pod["volumes"] == [{"name": "ca", "configMap": {"name": "ca"}}]
    assert own["volumeMounts"] == [{"name": "ca", "mountPath": "/etc/ssl/private-ca"}]
    assert own["envFrom"] == [{"configMapRef": {"name": "proxies"}}]
    assert beside["name"] == "beside"


def test_arguments_follow_the_command() -> None:
    found = container(render("--set", "operator.extraArgs={--help}"))
    assert found["args"] == ["operator", "--help"]
    assert "args" not in container(render())


def test_timing_of_a_probe() -> None:
    containers = operator(everything())["spec"]["template"]["spec"]["containers"]
    probe = containers[0]["readinessProbe"]
    assert (probe["periodSeconds"], probe["failureThreshold"]) == (5, 5)
    assert probe["httpGet"] == {"path": "/readyz", "port": "admin"}


def test_disruption_budget() -> None:
    assert not of(render(), "PodDisruptionBudget")
    (found,) = of(everything(), "PodDisruptionBudget")
    assert found["spec"]["maxUnavailable"] == "50%"
    labels = operator(everything())["spec"]["template"]["metadata"]["labels"]
    assert found["spec"]["selector"]["matchLabels"].items() <= labels.items()


def test_every_object_has_the_common_annotations() -> None:
    for item in everything():
        if "extra" not in item["metadata"]["name"]:
            found = item["metadata"].get("annotations", {})
            assert found.get("example.com/owner") == "voice", item["kind"]


def test_annotation_of_an_object_goes_before_the_common_one() -> None:
    options = (
        "--set",
        "commonAnnotations.team=all",
        "--set",
        "serviceAccount.annotations.team=own",
    )
    (account,) = of(render(*options), "ServiceAccount")
    assert account["metadata"]["annotations"] == {"team": "own"}


# Those of all resources


@pytest.mark.parametrize("part", ["ingest", "command"])
def test_one_value_leaves_the_user_to_openshift(part: str) -> None:
    items = render("--set", "openshift=true", "--set", "quickstart.nats=true")

    pods = [item["spec"]["template"]["spec"] for item in of(items, "Deployment")]
    pods += [item["spec"] for item in of(items, "Pod")]
    assert len(pods) == 3
    pods.append(_pod(items, part))
    for pod in pods:
        assert pod["securityContext"]["runAsNonRoot"]
        assert not IDS & set(pod["securityContext"])


def _pod(items: list[dict[str, Any]], part: Any) -> dict[str, Any]:
    """Return the pod that the operator makes with these defaults."""
    found = defaults(items, part)
    template = PodTemplateSpec(**found["pod_template"])
    workload = WorkloadDefaults(resources=found.get("resources"), pod_template=template)
    made = component(part, defaults=Defaults(ingest=workload, command=workload))
    pod: dict[str, Any] = pod_template(made)["spec"]
    return pod


def test_user_of_the_pods_is_fixed_elsewhere() -> None:
    assert set(_pod(render(), "ingest")["securityContext"]) >= IDS


def test_user_whom_the_values_name_is_kept_on_openshift() -> None:
    option = "ingest.podTemplate.spec.securityContext.runAsUser=1000700000"
    context = _pod(render("--set", "openshift=true", "--set", option), "ingest")["securityContext"]
    assert context["runAsUser"] == 1000700000
    assert not {"fsGroup", "runAsGroup"} & set(context)


def test_defaults_of_all_resources() -> None:
    found = defaults(everything(), "ingest")
    values = yaml.safe_load(EVERYTHING.read_text())["ingest"]
    assert found["resources"] == values["resources"]
    assert found["service_account_annotations"] == values["serviceAccountAnnotations"]
    assert found["pod_template"]["spec"]["priorityClassName"] == "voice"
    assert found["pod_template"]["metadata"] == values["podTemplate"]["metadata"]


# Who reaches them


def test_admin_port_of_the_operator_is_open_to_the_namespace_of_prometheus() -> None:
    (policy,) = of(render(), "NetworkPolicy")
    (rule,) = policy["spec"]["ingress"]
    assert rule["from"] == [{"namespaceSelector": {"matchLabels": {"metrics": "enabled"}}}]
    assert rule["ports"] == [{"port": "admin", "protocol": "TCP"}]


def test_pods_of_resources_are_open_to_the_operator_too() -> None:
    peers = json.loads(environment(render())["ARI_PROXY_ADMIN_PEERS"])
    first, second = peers
    assert first["namespaceSelector"] == {
        "matchLabels": {"kubernetes.io/metadata.name": "telephony"}
    }
    labels = operator(render())["spec"]["template"]["metadata"]["labels"]
    assert first["podSelector"]["matchLabels"].items() <= labels.items()
    assert second == {"namespaceSelector": {"matchLabels": {"metrics": "enabled"}}}

    made = network_policy(proxy(), Defaults(admin_peers=tuple(peers)))
    assert made is not None
    assert made["spec"]["ingress"][0]["from"] == peers


def test_nobody_else_may_be_let_in() -> None:
    items = render("--set", "networkPolicy.metricsNamespaceLabels=null")
    (policy,) = of(items, "NetworkPolicy")
    assert policy["spec"]["ingress"] == []
    assert len(json.loads(environment(items)["ARI_PROXY_ADMIN_PEERS"])) == 1


def test_calls_are_shown_to_whoever_is_named_for_them() -> None:
    assert json.loads(environment(render())["ARI_PROXY_CALLS_PEERS"]) == []
    named = ("--set-json", 'networkPolicy.callsPeers=[{"podSelector":{}}]')
    found = environment(render(*named))
    assert json.loads(found["ARI_PROXY_CALLS_PEERS"]) == [{"podSelector": {}}]
    assert {"podSelector": {}} not in json.loads(found["ARI_PROXY_ADMIN_PEERS"])


def test_no_policies() -> None:
    items = render("--set", "networkPolicy.enabled=false")
    assert not of(items, "NetworkPolicy")
    assert "ARI_PROXY_ADMIN_PEERS" not in environment(items)
