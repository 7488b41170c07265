"""Names and labels of what the operator makes. Pure.

Kubernetes' recommended labels (kubernetes.io/docs/concepts/overview/working-with-objects/
common-labels); a name that is used in a label or for a pod has 63 characters at most.
"""

import hashlib
import re
from collections.abc import Mapping
from typing import Any, Final, Literal

Component = Literal["ingest", "command"]
COMPONENTS: Final[tuple[Component, ...]] = ("ingest", "command")

MANAGER: Final = "ari-proxy-operator"
NAME: Final = "app.kubernetes.io/name"
INSTANCE: Final = "app.kubernetes.io/instance"
COMPONENT: Final = "app.kubernetes.io/component"
MANAGED_BY: Final = "app.kubernetes.io/managed-by"
PART_OF: Final = "app.kubernetes.io/part-of"
SERVER: Final = "ari-proxy.io/server"
#: Annotation: the settings that a pod was started with.
SETTINGS: Final = "ari-proxy.io/settings"
#: Annotation: what the operator has applied, to see whether it would apply something else.
APPLIED: Final = "ari-proxy.io/applied"
#: Annotation of an ingest's pods: which of them is active is decided by a Lease.
LEASE: Final = "ari-proxy.io/lease"

_SERVER_LENGTH: Final = 30


def server_name(pod: str) -> str:
    """Return the name, inside a resource, of the server in this pod."""
    name = re.sub(r"[^a-z0-9-]", "-", pod)  # A pod's name may have dots.
    if len(name) <= _SERVER_LENGTH:
        return name
    digest = hashlib.sha256(pod.encode()).hexdigest()[:8]
    return f"{name[: _SERVER_LENGTH - 9].rstrip('-')}-{digest}"


def workload(proxy: str, component: Component, server: str) -> str:
    """Return the name of a server's Deployment, and of what belongs to it."""
    return f"{proxy}-{component}-{server}"


def account(proxy: str, component: Component) -> str:
    """Return the name of a component's ServiceAccount, and of its Role."""
    return f"{proxy}-{component}"


def labels(proxy: str, component: Component | None = None, server: str = "") -> dict[str, str]:
    """Return the labels of an object: of the resource, of a component, of a server's component."""
    found = {NAME: "ari-proxy", INSTANCE: proxy, MANAGED_BY: MANAGER, PART_OF: "ari-proxy"}
    if component:
        found[COMPONENT] = component
    return found | ({SERVER: server} if server else {})


def selector(proxy: str, component: Component, server: str) -> dict[str, str]:
    """Return what a Deployment knows its pods by; it can't be changed later."""
    return {NAME: "ari-proxy", INSTANCE: proxy, COMPONENT: component, SERVER: server}


def labels_of(item: Mapping[str, Any]) -> Mapping[str, str]:
    """Return the labels of any object."""
    return item["metadata"].get("labels") or {}


def digest(value: str) -> str:
    """Return a short fingerprint."""
    return hashlib.sha256(value.encode()).hexdigest()[:16]
