"""The pods of a component."""

from typing import Any

import pytest

from ari_proxy.operator import names
from ari_proxy.operator.decide.children.component import DesiredComponent
from ari_proxy.operator.decide.children.pod_template import pod_template
from ari_proxy.operator.names import Component
from tests.support.resources import component


def pod_of(item: DesiredComponent) -> dict[str, Any]:
    found: dict[str, Any] = pod_template(item)["spec"]
    return found


@pytest.mark.parametrize("kind", ["ingest", "command"])
def test_pods_are_restricted(kind: Component) -> None:
    pod = pod_of(component(kind))
    container = pod["containers"][0]

    assert pod["securityContext"]["runAsNonRoot"]
    assert pod["securityContext"]["seccompProfile"] == {"type": "RuntimeDefault"}
    assert container["securityContext"] == {
        "allowPrivilegeEscalation": False,
        "readOnlyRootFilesystem": True,
        "capabilities": {"drop": ["ALL"]},
    }
    assert not pod["automountServiceAccountToken"]


def test_pods_mount_a_token_only_for_a_lease() -> None:
    assert pod_of(component(has_lease=True))["automountServiceAccountToken"]
    assert not pod_of(component(has_lease=False))["automountServiceAccountToken"]


def test_annotation_says_that_a_lease_decides() -> None:
    with_lease = pod_template(component(has_lease=True))["metadata"]["annotations"]

    assert with_lease[names.LEASE] == "true"
    assert names.LEASE not in pod_template(component())["metadata"]["annotations"]


def test_secrets_are_files_instead_of_variables() -> None:
    pod = pod_of(component("command", "rabbitmq"))

    assert [item["name"] for item in pod["containers"][0]["env"]] == ["ARI_PROXY_CONFIG"]
    sources = {
        source["secret"]["name"]: [item["path"] for item in source["secret"]["items"]]
        for volume in pod["volumes"]
        for source in volume.get("projected", {}).get("sources", ())
    }
    assert sources == {
        "asterisk-ari": ["ari/user", "ari/password"],
        "rabbitmq-default-user": ["bus/url"],
    }


def test_new_settings_start_new_pods() -> None:
    one = pod_template(component("command"))
    other = pod_template(component("command", command={"maxInFlight": 5}))

    assert one["metadata"]["annotations"] != other["metadata"]["annotations"]


def test_settings_of_command_do_not_restart_ingest() -> None:
    one = pod_template(component("ingest"))
    command = {"maxInFlight": 5, "requestTimeoutSeconds": 3}

    assert one == pod_template(component("ingest", command=command))


def test_overlay_is_merged_into_the_template() -> None:
    template = pod_template(component("command", "production"))

    assert template["metadata"]["annotations"]["team"] == "voice"
    assert template["spec"]["nodeSelector"] == {"pool": "voice"}
    assert template["spec"]["containers"][0]["image"] == "command:1"


def test_resource_may_set_image_and_resources() -> None:
    limits = {"limits": {"memory": "1Gi"}}
    item = component(ingest={"image": "mine:2", "resources": limits})
    container = pod_of(item)["containers"][0]

    assert (container["image"], container["resources"]) == ("mine:2", limits)


def test_image_pull_secrets() -> None:
    pod = pod_of(component(imagePullSecrets=[{"name": "registry"}]))

    assert pod["imagePullSecrets"] == [{"name": "registry"}]
    assert "imagePullSecrets" not in pod_of(component())


def test_pods_prefer_different_nodes() -> None:
    affinity = pod_of(component())["affinity"]["podAntiAffinity"]
    (term,) = affinity["preferredDuringSchedulingIgnoredDuringExecution"]

    assert term["podAffinityTerm"]["labelSelector"]["matchLabels"] == component().selector


def test_no_probe_comes_before_python_has_started() -> None:
    (found,) = pod_template(component())["spec"]["containers"]
    assert found["startupProbe"]["initialDelaySeconds"] > 0
