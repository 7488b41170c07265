"""The contract itself: what `kubectl get` shows, and what the API server checks."""

from pathlib import Path
from typing import Any

import yaml

CRD = Path(__file__).parents[3] / "k8s" / "crds" / "ariproxies.yaml"
VERSION: dict[str, Any] = yaml.safe_load(CRD.read_text())["spec"]["versions"][0]


def test_columns_show_reasons_of_what_is_wrong_and_a_suspension() -> None:
    columns = {
        item["name"]: item["jsonPath"]
        for item in VERSION["additionalPrinterColumns"]
        if not item.get("priority")
    }

    assert list(columns) == [
        "Ready",
        "Reason",
        "Rollout",
        "Servers",
        "Up",
        "Bus",
        "Suspended",
        "Age",
    ]
    assert columns["Rollout"] == '.status.conditions[?(@.type=="Progressing")].reason'
    assert columns["Suspended"] == ".spec.suspend"
