"""The NetworkPolicy of a resource's pods. Sans-I/O."""

from collections.abc import Iterable

from ari_proxy.operator import names
from ari_proxy.operator.decide.defaults import Defaults
from ari_proxy.operator.model import AriProxy
from ari_proxy.operator.objects import Object

from .component import head
from .pod_template import ARI_PORT_NAME


def network_policy(proxy: AriProxy, defaults: Defaults) -> Object | None:
    """Return the NetworkPolicy of all pods of a resource, or None if there shall be none.

    Nobody reaches the admin API but the peers: it has no login, and shows calls. Where Asterisk
    opens the websockets, their port is open to all, as Asterisk may be outside of the cluster.
    """
    if defaults.admin_peers is None:
        return None
    name = proxy.metadata.name
    # Not by the server: one that is draining has pods, too.
    selected = {names.NAME: "ari-proxy", names.INSTANCE: name, names.MANAGED_BY: names.MANAGER}
    return {
        **head(proxy, "networking.k8s.io/v1", "NetworkPolicy", name, names.labels(name)),
        "spec": {
            "podSelector": {"matchLabels": selected},
            "policyTypes": ["Ingress"],
            "ingress": list(_rules(proxy, defaults.admin_peers)),
        },
    }


def _rules(proxy: AriProxy, admin_peers: Iterable[Object]) -> Iterable[Object]:
    # A rule without peers would let everybody in.
    if peers := list(admin_peers):
        yield {"from": peers, "ports": [_port("admin")]}
    if any(server.ari.connection == "Outbound" for server in proxy.spec.servers):
        yield {"ports": [_port(ARI_PORT_NAME)]}


def _port(name: str) -> Object:
    return {"port": name, "protocol": "TCP"}
