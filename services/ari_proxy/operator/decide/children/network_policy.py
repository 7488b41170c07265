"""The NetworkPolicy of a resource's pods. Sans-I/O."""

from collections.abc import Sequence

from ari_proxy.operator import names
from ari_proxy.operator.decide.defaults import Defaults
from ari_proxy.operator.model import AriProxy
from ari_proxy.operator.objects import Object

from .component import head
from .pod_template import ARI_PORT_NAME


def network_policy(proxy: AriProxy, defaults: Defaults) -> Object | None:
    """Return the NetworkPolicy of all pods of a resource, or None if there shall be none.

    Nobody reaches the admin API but the peers: it has no login. What shows calls has a port of its
    own, with peers of its own: none, as a rule. The port for
    Asterisk's websockets is open to all, as Asterisk may be outside of the cluster; only pods that
    listen have it, those of a draining server included.
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
            "ingress": [
                *_open(defaults.admin_peers, "admin"),
                *_open(defaults.calls_peers, "calls"),
                {"ports": [_port(ARI_PORT_NAME)]},
            ],
        },
    }


def _open(peers: Sequence[Object], port: str) -> list[Object]:
    # A rule without peers would let everybody in.
    return [{"from": list(peers), "ports": [_port(port)]}] if peers else []


def _port(name: str) -> Object:
    return {"port": name, "protocol": "TCP"}
