"""The Deployment of a component of a server. Pure."""

from .pod_template import pod_template
from .wanted import Object, Wanted


def deployment(wanted: Wanted, live: Object | None = None) -> Object:
    """Return the Deployment.

    Args:
        wanted: what it is for.
        live: as it is now, or None.
    """
    found = wanted.head("apps/v1", "Deployment")
    replicas = wanted.workload.replicas
    if wanted.autoscaling is not None:
        replicas = wanted.autoscaling.min_replicas
        if live is not None:
            # The autoscaler's decision stands. Were the field left out, it would fall back to 1; so
            # it is applied as it was read, and only to the object that it was read from.
            replicas = live["spec"]["replicas"]
            found["metadata"]["resourceVersion"] = live["metadata"]["resourceVersion"]
    found["spec"] = {
        "replicas": replicas,
        "revisionHistoryLimit": 3,
        "progressDeadlineSeconds": 300,
        # The new pod first: it takes over from the old one, which then has nothing left to lose.
        "strategy": {
            "type": "RollingUpdate",
            "rollingUpdate": {"maxSurge": 1, "maxUnavailable": 0},
        },
        "selector": {"matchLabels": wanted.selector},
        "template": pod_template(wanted),
    }
    return found
