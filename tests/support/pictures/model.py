"""A dashboard's JSON, as far as it is drawn."""

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True)
class Place:
    """Where something stands in Grafana's grid of 24 columns; y counts lines from the top."""

    x: int
    y: int
    width: int
    height: int


@dataclass(frozen=True)
class Query:
    """An expression with values in place of its variables, and the legend of its series."""

    expression: str
    legend: str
    instant: bool


@dataclass(frozen=True)
class Look:
    """What a panel's options say of its looks."""

    unit: str
    #: Colours, each from a value on, the least value first; the first one is for all below.
    thresholds: tuple[tuple[float, str], ...] = ()
    is_background_coloured: bool = False
    #: How opaque the area below a line is, from 0 to 1.
    fill: float = 0.0
    #: Whether the legend has each series' maximum, and the greatest one first.
    has_maxima: bool = False
    #: The least value of the axis, unless it is that of the data.
    minimum: float | None = None


@dataclass(frozen=True)
class Panel:
    """One panel."""

    title: str
    kind: str
    place: Place
    queries: tuple[Query, ...]
    look: Look


@dataclass(frozen=True)
class Row:
    """The title line of a row; a collapsed one has its panels in it, out of sight."""

    title: str
    place: Place
    hidden: int


@dataclass(frozen=True)
class Dashboard:
    """What is seen of a dashboard."""

    title: str
    rows: tuple[Row, ...]
    panels: tuple[Panel, ...]

    @property
    def height(self) -> int:
        """Lines of the grid."""
        places = [row.place for row in self.rows] + [panel.place for panel in self.panels]
        return max(place.y + place.height for place in places)


def read(model: Mapping[str, Any], rate_interval: str) -> Dashboard:
    """Return the dashboard of Grafana's JSON model, its variables set to `All`.

    Args:
        model: the decoded JSON.
        rate_interval: in place of `$__rate_interval`, as PromQL writes it.
    """
    values = {"__rate_interval": rate_interval, **_variables(model)}
    rows = [item for item in model["panels"] if item["type"] == "row"]
    panels = [item for item in model["panels"] if item["type"] != "row"]
    return Dashboard(
        model["title"],
        tuple(Row(row["title"], _place(row), len(row["panels"])) for row in rows),
        tuple(_panel(panel, values) for panel in panels),
    )


def _variables(model: Mapping[str, Any]) -> dict[str, str]:
    found = model["templating"]["list"]
    return {item["name"]: item["allValue"] for item in found if "allValue" in item}


def _place(item: Mapping[str, Any]) -> Place:
    place = item["gridPos"]
    return Place(place["x"], place["y"], place["w"], place["h"])


def _panel(panel: Mapping[str, Any], values: Mapping[str, str]) -> Panel:
    queries = tuple(
        Query(
            _filled_in(target["expr"], values),
            target["legendFormat"],
            instant=target.get("instant", False),
        )
        for target in panel["targets"]
    )
    return Panel(panel["title"], panel["type"], _place(panel), queries, _look(panel))


def _filled_in(expression: str, values: Mapping[str, str]) -> str:
    return re.sub(r"\$(\w+)", lambda found: values[found[1]], expression)


def _look(panel: Mapping[str, Any]) -> Look:
    """Return a panel's look; a table's is that of the only column that has one."""
    options, defaults = panel.get("options", {}), panel["fieldConfig"]["defaults"]
    for override in panel["fieldConfig"]["overrides"]:
        defaults = {item["id"]: item["value"] for item in override["properties"]}
    return Look(
        unit=options.get("yAxis", defaults)["unit"],
        thresholds=tuple(_steps(defaults.get("thresholds", {"steps": []}))),
        is_background_coloured=options.get("colorMode") == "background",
        fill=defaults.get("custom", {}).get("fillOpacity", 0) / 100,
        has_maxima="max" in options.get("legend", {}).get("calcs", ()),
        minimum=defaults.get("min"),
    )


def _steps(thresholds: Mapping[str, Any]) -> Iterator[tuple[float, str]]:
    for step in thresholds["steps"]:
        value = step["value"]
        yield float("-inf") if value is None else float(value), step["color"]
