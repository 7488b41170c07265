"""The Deployment of a component of a slot. Sans-I/O."""

from typing import Final

from ari_proxy.operator.objects import Object

from .component import DesiredComponent
from .pod_template import pod_template

#: Until all servers of a shared pod are served.
SHARED_READY_SECONDS: Final = 10


def deployment(desired: DesiredComponent, live: Object | None = None) -> Object:
    """Return the Deployment, given the one in the cluster if there is one."""
    found = desired.head("apps/v1", "Deployment")
    replicas = desired.least_replicas
    if desired.replicas is None and live is not None:
        # Keep the number of whoever scales it: an omitted field would fall back to 1. The
        # resourceVersion refuses the apply if the number has been changed meanwhile.
        found["metadata"]["resourceVersion"] = live["metadata"]["resourceVersion"]
        replicas = live["spec"]["replicas"]
        if desired.autoscaling is not None:
            # Our autoscaler leaves a Deployment with 0 pods alone. Others may scale to 0.
            replicas = replicas or desired.least_replicas
    found["spec"] = {
        "replicas": replicas,
        "revisionHistoryLimit": desired.workload.revision_history_limit,
        "progressDeadlineSeconds": 300,
        # The new pod starts first and takes over the old one's dialogs before that stops.
        "strategy": {
            "type": "RollingUpdate",
            "rollingUpdate": {"maxSurge": 1, "maxUnavailable": 0},
        },
        "selector": {"matchLabels": desired.selector},
        "template": pod_template(desired),
    }
    # A shared pod is ready with the first of its servers; the others follow within this time.
    least = SHARED_READY_SECONDS if desired.slot.is_shared else 0
    if seconds := max(desired.workload.min_ready_seconds, least):  # The API server omits a 0.
        found["spec"]["minReadySeconds"] = seconds
    return found
