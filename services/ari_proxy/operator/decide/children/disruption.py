"""The PodDisruptionBudget of a component of a server. Pure."""

from .wanted import Object, Wanted


def disruption_budget(wanted: Wanted) -> Object | None:
    """Return it, or None where one pod is all there is: then it could only block a node's drain."""
    budget = wanted.workload.pod_disruption_budget
    if not budget.enabled or _fewest(wanted) < 2:  # noqa: PLR2004  else nothing could be spared
        return None
    return {
        **wanted.head("policy/v1", "PodDisruptionBudget"),
        "spec": {
            "maxUnavailable": budget.max_unavailable,
            "selector": {"matchLabels": wanted.selector},
        },
    }


def _fewest(wanted: Wanted) -> int:
    autoscaling = wanted.autoscaling
    return autoscaling.min_replicas if autoscaling is not None else wanted.workload.replicas
