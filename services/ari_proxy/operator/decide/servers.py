"""Which Asterisk servers a resource specifies: a list, or pods that a selector finds. Sans-I/O."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

from ari_proxy.operator.model import (
    AriSpec,
    LoginSecretRef,
    OutboundSpec,
    ServerSelector,
    TlsSpec,
)
from ari_proxy.operator.names import server_name
from ari_proxy.operator.objects import is_finished, is_ready
from ari_proxy.operator.state import Observed

#: An IPv6 address stands in brackets in a URL (RFC 3986 §3.2.2).
_IPV6: Final = ":"


@dataclass(frozen=True, slots=True, kw_only=True)
class DesiredServer:
    """An Asterisk server that ari-proxy should serve, listed or discovered."""

    name: str
    server_id: str
    #: '' if Asterisk is never asked by HTTP.
    rest_url: str
    applications: tuple[str, ...]
    subscribe_all: bool
    credentials: LoginSecretRef
    tls: TlsSpec | None
    #: None: ari-proxy opens the websockets.
    outbound: OutboundSpec | None = None

    @property
    def websocket_url(self) -> str:
        """The URL of ARI's event websocket."""
        return self.rest_url.rstrip("/").replace("http", "ws", 1) + "/events"


def desired_servers(observed: Observed) -> list[DesiredServer]:
    """Return the servers that should be served; none of a resource that was deleted.

    A discovered server stays while its pod is not ready: an Asterisk that restarts comes back.
    """
    spec = observed.proxy.spec
    if observed.proxy.metadata.deletion_timestamp:
        return []
    if spec.server_selector is not None:
        deployed = observed.deployed_servers
        found = [
            _discovered(pod, spec.server_selector)
            for pod in observed.asterisk_pods
            if _is_server(pod, deployed)
        ]
        return sorted(found, key=lambda server: server.name)
    return [
        DesiredServer(
            name=server.name,
            server_id=server.server_id or server.name,
            rest_url=server.ari.url.rstrip("/"),
            applications=server.applications,
            subscribe_all=server.subscribe_all,
            credentials=server.ari.credentials_secret_ref,
            tls=server.ari.tls,
            outbound=_outbound(server.ari),
        )
        for server in spec.servers
    ]


def _outbound(ari: AriSpec) -> OutboundSpec | None:
    if ari.connection == "Inbound":
        return None
    return ari.outbound or OutboundSpec()


def _is_server(pod: Mapping[str, Any], deployed: Sequence[str]) -> bool:
    if pod["metadata"].get("deletionTimestamp") or is_finished(pod) or not _host(pod):
        return False
    return is_ready(pod) or server_name(pod["metadata"]["name"]) in deployed


def _discovered(pod: Mapping[str, Any], selector: ServerSelector) -> DesiredServer:
    name = server_name(pod["metadata"]["name"])
    return DesiredServer(
        name=name,
        server_id=name,
        rest_url=f"{selector.scheme.lower()}://{_host(pod)}:{selector.port}{selector.path}",
        applications=selector.applications,
        subscribe_all=selector.subscribe_all,
        credentials=selector.credentials_secret_ref,
        tls=selector.tls,
    )


def _host(pod: Mapping[str, Any]) -> str:
    """Return the pod's DNS name, which outlives a restart, or else its address.

    A StatefulSet's pods have one with the set's Service (kubernetes.io/docs/concepts/workloads/
    controllers/statefulset, "Stable Network ID").
    """
    spec = pod.get("spec", {})
    if spec.get("hostname") and spec.get("subdomain"):
        return f"{spec['hostname']}.{spec['subdomain']}.{pod['metadata']['namespace']}.svc"
    address: str = pod.get("status", {}).get("podIP") or ""
    return f"[{address}]" if _IPV6 in address else address
