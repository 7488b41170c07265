"""Which Asterisk servers a resource means: those of its list, or the pods that it selects. Pure."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

from ari_proxy.operator.model import AriProxy, LoginSecretRef, ServerSelector, Tls
from ari_proxy.operator.names import server_name

#: The port of an IPv6 address in a URL is told apart by brackets (RFC 3986 §3.2.2).
_IPV6: Final = ":"


@dataclass(frozen=True, slots=True, kw_only=True)
class WantedServer:
    """One Asterisk, however it was found."""

    name: str
    server_id: str
    rest_url: str
    applications: tuple[str, ...]
    subscribe_all: bool
    credentials: LoginSecretRef
    tls: Tls | None

    @property
    def websocket_url(self) -> str:
        """The URL of its events."""
        return self.rest_url.rstrip("/").replace("http", "ws", 1) + "/events"


def wanted(
    proxy: AriProxy, pods: Iterable[Mapping[str, Any]], known: Sequence[str] = ()
) -> list[WantedServer]:
    """Return the servers that should be served.

    Args:
        proxy: the resource.
        pods: those that its selector matches.
        known: names of servers that are served already: they stay though their pod is not ready,
            since an Asterisk that restarts comes back.
    """
    spec = proxy.spec
    if spec.server_selector is not None:
        found = [_discovered(pod, spec.server_selector) for pod in pods if _is_there(pod, known)]
        return sorted(found, key=lambda server: server.name)
    return [
        WantedServer(
            name=server.name,
            server_id=server.server_id or server.name,
            rest_url=server.ari.url.rstrip("/"),
            applications=server.applications,
            subscribe_all=server.subscribe_all,
            credentials=server.ari.credentials_secret_ref,
            tls=server.ari.tls,
        )
        for server in spec.servers
    ]


def matches(labels: Mapping[str, str], match_labels: Mapping[str, str]) -> bool:
    """Return whether a selector takes an object with these labels."""
    return all(labels.get(name) == value for name, value in match_labels.items())


def is_ready(pod: Mapping[str, Any]) -> bool:
    """Return whether a pod has passed its readiness probe."""
    conditions = pod.get("status", {}).get("conditions") or ()
    return any(item["type"] == "Ready" and item["status"] == "True" for item in conditions)


def _is_there(pod: Mapping[str, Any], known: Sequence[str]) -> bool:
    metadata, status = pod["metadata"], pod.get("status", {})
    if metadata.get("deletionTimestamp") or status.get("phase") in {"Succeeded", "Failed"}:
        return False
    if not _host(pod):
        return False
    return is_ready(pod) or server_name(metadata["name"]) in known


def _discovered(pod: Mapping[str, Any], selector: ServerSelector) -> WantedServer:
    name = server_name(pod["metadata"]["name"])
    return WantedServer(
        name=name,
        server_id=name,
        rest_url=f"{selector.scheme.lower()}://{_host(pod)}:{selector.port}{selector.path}",
        applications=selector.applications,
        subscribe_all=selector.subscribe_all,
        credentials=selector.credentials_secret_ref,
        tls=selector.tls,
    )


def _host(pod: Mapping[str, Any]) -> str:
    """Return its name in the cluster's DNS, which outlives a restart, or else its address.

    A StatefulSet's pods have one with the set's Service (kubernetes.io/docs/concepts/workloads/
    controllers/statefulset, "Stable Network ID").
    """
    spec = pod.get("spec", {})
    if spec.get("hostname") and spec.get("subdomain"):
        return f"{spec['hostname']}.{spec['subdomain']}.{pod['metadata']['namespace']}.svc"
    address: str = pod.get("status", {}).get("podIP") or ""
    return f"[{address}]" if _IPV6 in address else address
