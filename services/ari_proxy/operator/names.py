"""Names and labels of the objects that the operator creates. Sans-I/O.

The labels are those that Kubernetes recommends (kubernetes.io/docs/concepts/overview/
working-with-objects/common-labels). A name that a label or a pod carries has at most 63 characters.
"""

import hashlib
import re
from typing import Final, Literal

Component = Literal["ingest", "command"]
COMPONENTS: Final[tuple[Component, ...]] = ("ingest", "command")

MANAGER: Final = "ari-proxy-operator"
NAME: Final = "app.kubernetes.io/name"
INSTANCE: Final = "app.kubernetes.io/instance"
COMPONENT: Final = "app.kubernetes.io/component"
MANAGED_BY: Final = "app.kubernetes.io/managed-by"
PART_OF: Final = "app.kubernetes.io/part-of"
SERVER: Final = "ari-proxy.io/server"
#: Instead of it on what servers share that share pods.
SLOT: Final = "ari-proxy.io/slot"
#: Annotation of a slot's ConfigMaps: the server_ids of its servers by name, as JSON.
SERVERS: Final = "ari-proxy.io/servers"
#: Annotation: a fingerprint of the settings that a pod was started with.
SETTINGS: Final = "ari-proxy.io/settings"
#: Annotation: a fingerprint of the object as applied, to detect that the desired one differs.
APPLIED: Final = "ari-proxy.io/applied"
#: Annotation of ingest pods: a Lease decides which of them is active.
LEASE: Final = "ari-proxy.io/lease"
#: Annotation of ingest pods: when their ServiceAccount was made, if after their Deployment. Tokens
#: of a former one are not accepted any more, and only new pods have other ones.
ACCOUNT_SINCE: Final = "ari-proxy.io/service-account-since"

#: Annotations of Deployments: fingerprints of the pod template, and of what those of all servers of
#: the resource have in common.
TEMPLATE: Final = "ari-proxy.io/template"
COMMON_TEMPLATE: Final = "ari-proxy.io/common-template"
#: Annotation of Deployments: they did not serve when the pod template was applied, so
#: nothing can be said about the template from pods that are not ready.
UNSERVED_BEFORE: Final = "ari-proxy.io/unserved-before"

_SERVER_LENGTH: Final = 30


def server_name(pod: str) -> str:
    """Return a server's name inside its resource, from the name of its pod."""
    name = re.sub(r"[^a-z0-9-]", "-", pod)  # A pod's name may contain dots.
    if len(name) <= _SERVER_LENGTH:
        return name
    digest = hashlib.sha256(pod.encode()).hexdigest()[:8]
    return f"{name[: _SERVER_LENGTH - 9].rstrip('-')}-{digest}"


def workload(proxy: str, component: Component, slot: str) -> str:
    """Return the name of a slot's Deployment, or of an object of a server."""
    return f"{proxy}-{component}-{slot}"


def asterisk_config(proxy: str, server: str) -> str:
    """Return the name of the ConfigMap with a server's Asterisk's configuration."""
    return f"{proxy}-asterisk-{server}"


def account(proxy: str, component: Component) -> str:
    """Return the name of a component's ServiceAccount and Role."""
    return f"{proxy}-{component}"


def labels(
    proxy: str, component: Component | None = None, server: str = "", slot: str = ""
) -> dict[str, str]:
    """Return the labels of an object of the resource, a component, a server or a shared slot."""
    found = {NAME: "ari-proxy", INSTANCE: proxy, MANAGED_BY: MANAGER, PART_OF: "ari-proxy"}
    if component:
        found[COMPONENT] = component
    return found | ({SERVER: server} if server else {}) | ({SLOT: slot} if slot else {})


def selector(proxy: str, component: Component, server: str, slot: str = "") -> dict[str, str]:
    """Return the selector of a Deployment, which Kubernetes does not allow to change."""
    found = {NAME: "ari-proxy", INSTANCE: proxy, COMPONENT: component}
    return found | ({SLOT: slot} if slot else {SERVER: server})


def digest(value: str) -> str:
    """Return a short fingerprint."""
    return hashlib.sha256(value.encode()).hexdigest()[:16]
