"""ServiceAccounts of the pods, and the access of ingests to their Leases. Sans-I/O."""

from collections.abc import Mapping, Sequence
from typing import Final

from ari_proxy.operator import names
from ari_proxy.operator.model import AriProxy
from ari_proxy.operator.names import Component
from ari_proxy.operator.objects import Object

from .component import head

_RBAC: Final = "rbac.authorization.k8s.io"


def service_account(
    proxy: AriProxy, component: Component, annotations: Mapping[str, str] | None = None
) -> Object:
    """Return a component's ServiceAccount; a pod mounts its token only if it needs a Lease.

    Args:
        proxy: the resource.
        component: ingest or command.
        annotations: for example of a cloud's workload identity.
    """
    found = _head(proxy, component, "v1", "ServiceAccount")
    if annotations:
        found["metadata"]["annotations"] = dict(annotations)
    return {**found, "automountServiceAccountToken": False}


def lease_access(proxy: AriProxy, leases: Sequence[str]) -> list[Object]:
    """Return a Role for these Leases alone, and its RoleBinding; nothing without Leases."""
    if not leases:
        return []
    name = names.account(proxy.metadata.name, "ingest")
    rule = {
        "apiGroups": ["coordination.k8s.io"],
        "resources": ["leases"],
        "resourceNames": list(leases),
        "verbs": ["get", "update"],
    }
    subject = {"kind": "ServiceAccount", "name": name, "namespace": proxy.metadata.namespace}
    return [
        {**_head(proxy, "ingest", f"{_RBAC}/v1", "Role"), "rules": [rule]},
        {
            **_head(proxy, "ingest", f"{_RBAC}/v1", "RoleBinding"),
            "roleRef": {"apiGroup": _RBAC, "kind": "Role", "name": name},
            "subjects": [subject],
        },
    ]


def _head(proxy: AriProxy, component: Component, api_version: str, kind: str) -> Object:
    name = names.account(proxy.metadata.name, component)
    return head(proxy, api_version, kind, name, names.labels(proxy.metadata.name, component))
