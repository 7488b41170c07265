"""The PodDisruptionBudget of a component."""

from typing import Any

import pytest

from ari_proxy.operator.decide.children.disruption import disruption_budget
from tests.support.resources import component


@pytest.mark.parametrize(
    ("command", "exists"),
    [
        ({"replicas": 1}, False),
        ({"replicas": 2}, True),
        ({"replicas": 2, "podDisruptionBudget": {"enabled": False}}, False),
        ({"autoscaling": {"minReplicas": 1, "maxReplicas": 5}}, False),
        ({"autoscaling": {"minReplicas": 2, "maxReplicas": 5}}, True),
    ],
)
def test_single_pod_has_no_budget(command: dict[str, Any], exists: bool) -> None:
    """It would block the drain of its node."""
    assert (disruption_budget(component("command", command=command)) is not None) is exists


def test_number_is_that_of_the_spec() -> None:
    budget = {"maxUnavailable": "30%"}
    item = component("command", command={"replicas": 4, "podDisruptionBudget": budget})
    found = disruption_budget(item)

    assert found is not None
    assert found["spec"]["maxUnavailable"] == "30%"
    assert found["spec"]["selector"]["matchLabels"] == item.selector
