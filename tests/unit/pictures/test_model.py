"""What is drawn of a dashboard's JSON."""

import json
from typing import Any

import pytest

from tests.support import dashboards
from tests.support.pictures.model import Place, Query, read

PANEL: dict[str, Any] = {
    "type": "timeseries",
    "title": "Calls",
    "gridPos": {"x": 8, "y": 1, "w": 8, "h": 6},
    "targets": [
        {
            "expr": 'sum by (server_id) (rate(calls{server_id=~"$server_id"}[$__rate_interval]))',
            "legendFormat": "{{server_id}}",
        }
    ],
    "fieldConfig": {"defaults": {"unit": "cps"}, "overrides": []},
}
ROW = {"type": "row", "title": "Row", "gridPos": {"x": 0, "y": 0, "w": 24, "h": 1}, "panels": []}


def model(*panels: dict[str, Any]) -> dict[str, Any]:
    variables = [{"name": "datasource"}, {"name": "server_id", "allValue": ".*"}]
    return {"title": "Dashboard", "templating": {"list": variables}, "panels": panels}


def test_variables_are_all_values_and_the_rate_interval_is_given() -> None:
    (panel,) = read(model(PANEL), "30s").panels

    expression = 'sum by (server_id) (rate(calls{server_id=~".*"}[30s]))'
    assert panel.queries == (Query(expression, "{{server_id}}", instant=False),)
    assert panel.place == Place(8, 1, 8, 6)


def test_variable_that_has_no_value_is_an_error() -> None:
    unknown = {**PANEL, "targets": [{"expr": "up{a='$elsewhere'}", "legendFormat": ""}]}
    with pytest.raises(KeyError, match="elsewhere"):
        read(model(unknown), "30s")


def test_panels_of_a_collapsed_row_are_out_of_sight() -> None:
    collapsed = {**ROW, "panels": [PANEL, PANEL]}
    below = {**PANEL, "gridPos": {"x": 0, "y": 1, "w": 4, "h": 4}}
    dashboard = read(model(collapsed, below), "30s")

    assert [row.hidden for row in dashboard.rows] == [2]
    assert len(dashboard.panels) == 1
    assert dashboard.height == 5


def test_look_of_a_number_is_that_of_its_fields_and_options() -> None:
    steps = [{"color": "green", "value": None}, {"color": "red", "value": 1}]
    defaults = {"unit": "short", "thresholds": {"steps": steps}}
    number = {
        **PANEL,
        "type": "stat",
        "fieldConfig": {"defaults": defaults, "overrides": []},
        "options": {"colorMode": "background"},
    }
    look = read(model(number), "30s").panels[0].look

    assert look.thresholds == ((float("-inf"), "green"), (1.0, "red"))
    assert look.is_background_coloured


def test_look_of_a_table_is_that_of_its_values() -> None:
    override = {"properties": [{"id": "unit", "value": "bool_yes_no"}]}
    fields = {"defaults": {"unit": "string"}, "overrides": [override]}
    table = {**PANEL, "type": "table", "fieldConfig": fields}

    assert read(model(table), "30s").panels[0].look.unit == "bool_yes_no"


def test_unit_of_a_heat_map_is_that_of_its_buckets() -> None:
    heat_map = {**PANEL, "type": "heatmap", "options": {"yAxis": {"unit": "s"}}}

    assert read(model(heat_map), "30s").panels[0].look.unit == "s"


@pytest.mark.parametrize("name", dashboards.DASHBOARDS)
def test_all_our_dashboards_are_read(name: str) -> None:
    found = read(json.loads(dashboards.text(name)), "30s")

    assert all("$" not in query.expression for panel in found.panels for query in panel.queries)
