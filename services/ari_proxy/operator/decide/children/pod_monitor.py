"""The PodMonitor of a resource, for the Prometheus operator. Sans-I/O."""

from ari_proxy.operator import names
from ari_proxy.operator.model import AriProxy
from ari_proxy.operator.objects import Object

from .component import head


def pod_monitor(proxy: AriProxy) -> Object | None:
    """Return the PodMonitor, or None unless the spec enables it."""
    monitor = proxy.spec.monitoring.pod_monitor
    if not monitor.enabled:
        return None
    name = proxy.metadata.name
    # A Prometheus selects PodMonitors by the user's labels.
    labels = monitor.labels | names.labels(name)
    selected = {names.NAME: "ari-proxy", names.INSTANCE: name, names.MANAGED_BY: names.MANAGER}
    endpoint: Object = {"port": "admin", "path": "/metrics", "interval": monitor.interval}
    optional = {
        "scrapeTimeout": monitor.scrape_timeout,
        "relabelings": list(monitor.relabelings),
        "metricRelabelings": list(monitor.metric_relabelings),
    }
    endpoint |= {field: value for field, value in optional.items() if value}
    return {
        **head(proxy, "monitoring.coreos.com/v1", "PodMonitor", name, labels),
        "spec": {
            "selector": {"matchLabels": selected},
            "podMetricsEndpoints": [endpoint],
        },
    }
