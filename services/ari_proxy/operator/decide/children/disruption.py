"""The PodDisruptionBudget of a component of a server. Sans-I/O."""

from ari_proxy.operator.objects import Object

from .component import DesiredComponent


def disruption_budget(desired: DesiredComponent) -> Object | None:
    """Return it, or None for a single pod, where it could only block a node's drain."""
    budget = desired.workload.pod_disruption_budget
    if not budget.enabled or desired.least_replicas < 2:  # noqa: PLR2004  one pod can't be spared
        return None
    return {
        **desired.head("policy/v1", "PodDisruptionBudget"),
        "spec": {
            "maxUnavailable": budget.max_unavailable,
            "selector": {"matchLabels": desired.selector},
        },
    }
