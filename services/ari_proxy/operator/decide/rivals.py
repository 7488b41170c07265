"""Which server_ids an older resource already serves on the same bus. Sans-I/O.

Two proxies with one server_id would both answer its commands. The older resource keeps it, so that
a mistake in a new one does not affect the other's calls.
"""

import re
from collections.abc import Iterable
from typing import Final, NamedTuple

from ari_proxy.operator.model import AriProxy

from . import deletion

_PORT: Final = re.compile(r":[0-9]+$")
#: Default ports, by scheme.
_PORTS: Final = {"nats": "4222", "tls": "4222", "ws": "80", "wss": "443"}
_CLUSTER_DOMAINS: Final = (".", ".cluster.local", ".svc")


class ServerClaim(NamedTuple):
    """A server that a resource serves: its bus and its server_id there."""

    bus: str
    server_id: str


def claims(proxy: AriProxy, server_ids: Iterable[str] | None = None) -> frozenset[ServerClaim]:
    """Return what a resource serves on its buses; nothing once its deletion waits for nothing.

    Args:
        proxy: the resource.
        server_ids: those that it is about to serve; by default its listed or reported ones.
    """
    if deletion.is_over(proxy.metadata):
        return frozenset()
    ids = set(server_ids) if server_ids is not None else _server_ids(proxy)
    return frozenset(ServerClaim(bus, server_id) for bus in _buses(proxy) for server_id in ids)


def rivals(proxy: AriProxy, others: Iterable[AriProxy]) -> dict[str, str]:
    """Return, by server_id, the older resource (`namespace/name`) that serves it on this bus."""
    found: dict[str, str] = {}
    for other in sorted(others, key=_age, reverse=True):
        if other.metadata.uid == proxy.metadata.uid or _age(other) > _age(proxy):
            continue
        if not deletion.is_over(other.metadata) and _buses(other) & _buses(proxy):
            metadata = other.metadata
            found |= dict.fromkeys(_server_ids(other), f"{metadata.namespace}/{metadata.name}")
    return found


def _age(proxy: AriProxy) -> tuple[str, str]:
    return proxy.metadata.creation_timestamp, proxy.metadata.uid


def _buses(proxy: AriProxy) -> set[str]:
    """Return the bus's identity: its URLs, or the Secret that holds them."""
    bus = proxy.spec.bus
    if bus.nats is not None and bus.nats.servers:
        return {_address(url, proxy.metadata.namespace) for url in bus.nats.servers}
    member = bus.nats or bus.rabbitmq
    ref = member.url_secret_ref if member is not None else None
    return {f"{proxy.metadata.namespace}/{ref.name}/{ref.key}"} if ref is not None else set()


def _address(url: str, namespace: str) -> str:
    """Return host and port of a NATS server; a Service has one host, however its name is written.

    kubernetes.io/docs/concepts/services-networking/dns-pod-service
    """
    scheme, _, rest = url.rstrip("/").partition("://")
    address = rest.partition("/")[0].lower()
    host, _, port = address.rpartition(":") if _PORT.search(address) else (address, "", "")
    for ending in _CLUSTER_DOMAINS:
        host = host.removesuffix(ending)
    is_short = host and host != "localhost" and not set(host) & set(".:[")
    return (
        f"{host}.{namespace}:{port or _PORTS[scheme]}"
        if is_short
        else (f"{host}:{port or _PORTS[scheme]}")
    )


def _server_ids(proxy: AriProxy) -> set[str]:
    listed = {server.server_id or server.name for server in proxy.spec.servers}
    discovered = {item.get("serverId", "") for item in proxy.status.get("servers") or ()}
    return (listed if proxy.spec.servers else discovered) - {""}
