"""The HorizontalPodAutoscaler of a server's command Deployment. Sans-I/O."""

from ari_proxy.operator.objects import Object

from .component import DesiredComponent


def autoscaler(desired: DesiredComponent) -> Object | None:
    """Return the HorizontalPodAutoscaler, or None unless the spec enables it."""
    autoscaling = desired.autoscaling
    if autoscaling is None:
        return None
    target = {
        "type": "Utilization",
        "averageUtilization": autoscaling.target_cpu_utilization_percentage,
    }
    return {
        **desired.head("autoscaling/v2", "HorizontalPodAutoscaler"),
        "spec": {
            "scaleTargetRef": {"apiVersion": "apps/v1", "kind": "Deployment", "name": desired.name},
            "minReplicas": autoscaling.min_replicas,
            "maxReplicas": max(autoscaling.min_replicas, autoscaling.max_replicas),
            "metrics": [{"type": "Resource", "resource": {"name": "cpu", "target": target}}],
            **({"behavior": autoscaling.behavior} if autoscaling.behavior else {}),
        },
    }
