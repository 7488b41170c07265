"""The HorizontalPodAutoscaler of a server's executors. Pure."""

from .wanted import Object, Wanted


def autoscaler(wanted: Wanted) -> Object | None:
    """Return it, or None where none is asked for."""
    autoscaling = wanted.autoscaling
    if autoscaling is None:
        return None
    target = {
        "type": "Utilization",
        "averageUtilization": autoscaling.target_cpu_utilization_percentage,
    }
    return {
        **wanted.head("autoscaling/v2", "HorizontalPodAutoscaler"),
        "spec": {
            "scaleTargetRef": {"apiVersion": "apps/v1", "kind": "Deployment", "name": wanted.name},
            "minReplicas": autoscaling.min_replicas,
            "maxReplicas": max(autoscaling.min_replicas, autoscaling.max_replicas),
            "metrics": [{"type": "Resource", "resource": {"name": "cpu", "target": target}}],
        },
    }
