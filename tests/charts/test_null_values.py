"""Values that are null or missing: Helm removes them before the templates see them."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml

from tests.charts.test_chart import VALUES, render
from tests.support import chart
from tests.support.chart import CHART

EVERYTHING = next(path for path in VALUES if path.stem == "everything-values")
DEFAULTS = yaml.safe_load((CHART / "values.yaml").read_text())
DOCUMENTED = [path for path, _ in chart.documented((CHART / "values.yaml").read_text())]


def paths(values: dict[str, Any], place: str = "") -> Iterator[str]:
    """Yield the path of each group and each documented value."""
    for name, value in values.items():
        path = f"{place}{name}"
        yield path
        if isinstance(value, dict) and path not in DOCUMENTED:
            yield from paths(value, f"{path}.")


PATHS = list(paths(DEFAULTS))
GROUPS = [path for path in PATHS if path not in DOCUMENTED]


def test_defaults_are_those_of_the_values() -> None:
    assert (CHART / "templates" / "_defaults.tpl").read_text() == chart.defaults_template()
    assert "quickstart" in GROUPS
    assert "monitoring.podMonitor" in GROUPS


@pytest.mark.parametrize("path", PATHS)
def test_value_may_be_null(path: str) -> None:
    assert render("--values", str(EVERYTHING), "--set", f"{path}=null")


def nulls(found: Any, place: str = "") -> Any:
    """Return the values with null for each that is no map or list."""
    if isinstance(found, dict) and place not in DOCUMENTED:
        return {name: nulls(value, f"{place}.{name}".lstrip(".")) for name, value in found.items()}
    return found if isinstance(found, dict | list) else None


def test_scalar_that_is_null_has_its_default(tmp_path: Path) -> None:
    file = tmp_path / "values.yaml"
    file.write_text(yaml.safe_dump(nulls(DEFAULTS)))
    assert render("--values", str(file)) == render()


def test_groups_may_all_be_null() -> None:
    groups = [path for path in GROUPS if "." not in path]
    options = [option for path in groups for option in ("--set", f"{path}=null")]
    kinds = [item["kind"] for item in render()]
    assert [item["kind"] for item in render(*options)] == kinds


def test_member_of_a_map_that_is_null_is_removed() -> None:
    """As on OpenShift, which chooses the user."""
    items = render("--set", "operator.podSecurityContext.runAsUser=null")
    (operator,) = [item for item in items if item["kind"] == "Deployment"]
    context = operator["spec"]["template"]["spec"]["securityContext"]
    assert context["runAsNonRoot"]
    assert "runAsUser" not in context
