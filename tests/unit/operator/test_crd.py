"""The contract itself: what `kubectl get` shows, and what the API server checks."""

from collections.abc import Iterator
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


SPEC: dict[str, Any] = VERSION["schema"]["openAPIV3Schema"]["properties"]["spec"]


def properties(
    schema: dict[str, Any], place: str, *, is_item: bool = False
) -> Iterator[tuple[str, dict[str, Any], bool]]:
    """Yield place and schema of each property, and whether it is inside an item of a list."""
    for name, item in schema.get("properties", {}).items():
        yield f"{place}.{name}", item, is_item
        yield from properties(item, f"{place}.{name}", is_item=is_item)
        yield from properties(item.get("items", {}), f"{place}.{name}[]", is_item=True)


def test_items_of_lists_have_no_defaults() -> None:
    """Tools that compare a manifest with the cluster take them for a difference for ever."""
    found = [place for place, item, is_item in properties(SPEC, "spec") if is_item]

    assert len(found) > 10
    assert not [
        place for place, item, is_item in properties(SPEC, "spec") if is_item and "default" in item
    ]


def test_names_of_secrets_are_checked() -> None:
    references = [
        (place, item["properties"]["name"])
        for place, item, _ in properties(SPEC, "spec")
        if place.endswith("SecretRef")
    ]

    assert len(references) > 15
    for place, name in references:
        assert name.get("pattern") == "^[a-z0-9]([-.a-z0-9]*[a-z0-9])?$", place
