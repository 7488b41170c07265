"""What others have added to an object is found by the owners of its fields."""

from copy import deepcopy
from typing import Any

import pytest

from ari_proxy.operator.decide.additions import additions, without_additions
from tests.support.resources import Cluster

INGEST = "minimal-ingest-asterisk-a"
DEPLOYMENT, CONFIG = ("Deployment", INGEST), ("ConfigMap", INGEST)


def container(**fields: Any) -> dict[str, Any]:
    """Return the ownership of fields of ingest's container."""
    return template(
        {"f:containers": {'k:{"name":"ingest"}': {f"f:{k}": v for k, v in fields.items()}}}
    )


def template(fields: dict[str, Any]) -> dict[str, Any]:
    return {"f:spec": {"f:template": {"f:spec": fields}}}


def env(name: str) -> dict[str, Any]:
    return {f'k:{{"name":"{name}"}}': {".": {}, "f:name": {}, "f:value": {}}}


class Changed:
    """An object of the minimal sample that somebody has changed."""

    def __init__(self, key: tuple[str, str]) -> None:
        cluster = Cluster()
        cluster.settle()
        self.desired = cluster.of(*key)
        self.live = deepcopy(self.desired)
        self.live["metadata"] |= {"resourceVersion": "7", "managedFields": []}

    @property
    def pod(self) -> dict[str, Any]:
        found: dict[str, Any] = self.live["spec"]["template"]["spec"]
        return found

    def owns(self, manager: str, fields: dict[str, Any], **entry: Any) -> None:
        self.live["metadata"]["managedFields"].append(
            {"manager": manager, "operation": "Update", "fieldsV1": fields, **entry}
        )

    @property
    def additions(self) -> list[str]:
        return [str(item) for item in additions(self.live, self.desired)]

    @property
    def restored(self) -> dict[str, Any]:
        """The object after the patch."""
        found = deepcopy(self.live)
        version, *operations = without_additions(self.live, self.desired)
        assert version == {"op": "replace", "path": "/metadata/resourceVersion", "value": "7"}
        for item in operations:
            name = item["path"].removeprefix("/")
            found[name] = item.get("value")
            if item["op"] == "remove":
                del found[name]
        return found


def test_environment_variable_is_an_addition() -> None:
    """As of `kubectl set env`; it would take precedence over the settings file."""
    changed = Changed(DEPLOYMENT)
    changed.pod["containers"][0]["env"].append({"name": "ARI_PROXY_COMMAND__DENY", "value": "[]"})
    changed.owns("kubectl-set", container(env=env("ARI_PROXY_COMMAND__DENY")))

    assert changed.additions == [
        "spec.template.spec.containers.ingest.env.ARI_PROXY_COMMAND__DENY by kubectl-set"
    ]
    assert changed.restored["spec"] == changed.desired["spec"]


@pytest.mark.parametrize(
    ("name", "value", "owned"),
    [
        ("hostNetwork", True, {}),
        ("initContainers", [{"name": "x"}], {".": {}, 'k:{"name":"x"}': {".": {}, "f:name": {}}}),
        ("tolerations", [{"operator": "Exists"}], {}),
    ],
)
def test_field_of_the_pod_is_an_addition(name: str, value: Any, owned: dict[str, Any]) -> None:
    changed = Changed(DEPLOYMENT)
    changed.pod[name] = value
    changed.owns("kubectl-edit", template({f"f:{name}": owned}))

    assert changed.additions == [f"spec.template.spec.{name} by kubectl-edit"]
    assert changed.restored["spec"] == changed.desired["spec"]


def test_container_and_volume_are_additions() -> None:
    changed = Changed(DEPLOYMENT)
    changed.pod["containers"].append({"name": "sidecar", "image": "x"})
    changed.pod["volumes"].append({"name": "data", "emptyDir": {}})
    sidecar: dict[str, Any] = {'k:{"name":"sidecar"}': {".": {}, "f:image": {}, "f:name": {}}}
    volume: dict[str, Any] = {'k:{"name":"data"}': {".": {}, "f:emptyDir": {}, "f:name": {}}}
    changed.owns("injector", template({"f:containers": sidecar, "f:volumes": volume}))

    assert len(changed.additions) == 2
    assert changed.restored["spec"] == changed.desired["spec"]


def test_file_of_the_settings_is_an_addition() -> None:
    changed = Changed(CONFIG)
    changed.live["data"]["other"] = "x"
    changed.live["binaryData"] = {"more": "eA=="}
    changed.owns(
        "kubectl-edit", {"f:data": {"f:other": {}}, "f:binaryData": {".": {}, "f:more": {}}}
    )

    assert sorted(changed.additions) == [
        "binaryData by kubectl-edit",
        "data.other by kubectl-edit",
    ]
    restored = changed.restored
    assert restored["data"] == changed.desired["data"]
    assert "binaryData" not in restored


@pytest.mark.parametrize(
    ("fields", "entry"),
    [
        (container(image={}), {}),
        (container(ports={'k:{"containerPort":9797,"protocol":"TCP"}': {".": {}}}), {}),
        (container(env=env("gone")), {}),
        ({"f:metadata": {"f:annotations": {"f:deployment.kubernetes.io/revision": {}}}}, {}),
        ({"f:status": {"f:replicas": {}}}, {"subresource": "status"}),
        ({"f:spec": {"f:replicas": {}}}, {"subresource": "scale"}),
        ({"f:spec": {"f:replicas": {}}}, {}),
    ],
    ids=["desired", "desired item", "gone", "metadata", "status", "scaled", "replicas"],
)
def test_what_is_desired_or_belongs_to_others_is_no_addition(
    fields: dict[str, Any], entry: dict[str, Any]
) -> None:
    changed = Changed(DEPLOYMENT)
    changed.live["metadata"]["annotations"] = {"deployment.kubernetes.io/revision": "1"}
    changed.owns("somebody", fields, **entry)

    assert changed.additions == []
    assert without_additions(changed.live, changed.desired) == []


def test_restart_of_a_rollout_is_no_addition() -> None:
    changed = Changed(DEPLOYMENT)
    annotations = changed.live["spec"]["template"]["metadata"]["annotations"]
    annotations["kubectl.kubernetes.io/restartedAt"] = "2026-11-24T12:00:00Z"
    owned: dict[str, Any] = {"f:annotations": {"f:kubectl.kubernetes.io/restartedAt": {}}}
    changed.owns("kubectl-rollout", {"f:spec": {"f:template": {"f:metadata": owned}}})

    assert changed.additions == []


def test_defaults_have_no_owner() -> None:
    changed = Changed(DEPLOYMENT)
    changed.pod["dnsPolicy"] = "ClusterFirst"
    changed.owns("ari-proxy-operator", container(image={}), operation="Apply")

    assert changed.additions == []


def test_item_of_a_set_is_an_addition() -> None:
    desired = {"kind": "Service", "metadata": {}, "spec": {"externalIPs": ["10.0.0.1"]}}
    changed = deepcopy(desired)
    changed["spec"] = {"externalIPs": ["10.0.0.1", "10.0.0.2"]}
    fields: dict[str, Any] = {"f:spec": {"f:externalIPs": {'v:"10.0.0.1"': {}, 'v:"10.0.0.2"': {}}}}
    changed["metadata"] = {"managedFields": [{"manager": "m", "fieldsV1": fields}]}

    assert [str(item) for item in additions(changed, desired)] == ["spec.externalIPs.10.0.0.2 by m"]


def test_service_account_is_completed_by_others() -> None:
    live = {"kind": "ServiceAccount", "metadata": {}, "imagePullSecrets": [{"name": "x"}]}
    live["metadata"] = {"managedFields": [{"fieldsV1": {"f:imagePullSecrets": {".": {}}}}]}

    assert additions(live, {"kind": "ServiceAccount", "metadata": {}}) == []
