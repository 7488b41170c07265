"""The PodMonitor of a resource, for the Prometheus operator. Pure."""

from ari_proxy.operator import names
from ari_proxy.operator.model import AriProxy

from .wanted import Object, head


def pod_monitor(proxy: AriProxy) -> Object | None:
    """Return it, or None where none is asked for."""
    wanted = proxy.spec.monitoring.pod_monitor
    if not wanted.enabled:
        return None
    name = proxy.metadata.name
    # The user's labels are what a Prometheus selects PodMonitors by.
    labels = wanted.labels | names.labels(name)
    selected = {names.NAME: "ari-proxy", names.INSTANCE: name, names.MANAGED_BY: names.MANAGER}
    return {
        **head(proxy, "monitoring.coreos.com/v1", "PodMonitor", name, labels),
        "spec": {
            "selector": {"matchLabels": selected},
            "podMetricsEndpoints": [
                {"port": "admin", "path": "/metrics", "interval": wanted.interval}
            ],
        },
    }
