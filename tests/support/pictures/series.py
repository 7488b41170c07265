"""What Prometheus has for a panel, over its HTTP API."""

import json
import math
import re
import urllib.parse
import urllib.request
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

from .model import Panel, Query

_TIMEOUT_SECONDS: Final = 30
#: Points of a line, more would be closer than pixels; columns of a heat map.
_POINTS, _COLUMNS = 240, 45


@dataclass(frozen=True)
class TimeRange:
    """The time that is drawn, in seconds since 1970."""

    begin: float
    end: float

    def step(self, kind: str) -> int:
        """Return the seconds between two points of a kind of panel."""
        points = _COLUMNS if kind == "heatmap" else _POINTS
        return max(1, math.ceil((self.end - self.begin) / points))


@dataclass(frozen=True)
class Series:
    """The values of one line, row or number: the last one is the newest."""

    legend: str
    labels: Mapping[str, str]
    times: Sequence[float]
    values: Sequence[float]


def fetch_all(url: str, panels: Sequence[Panel], over: TimeRange) -> list[list[Series]]:
    """Return the series of each panel's queries.

    Args:
        url: Prometheus's, without a path.
        panels: what is asked for.
        over: for this time; what is now, at its end.

    Raises:
        OSError: Prometheus cannot be reached, or refuses an expression.
    """
    return [
        [
            series
            for query in panel.queries
            for series in _answer(url, query, over, over.step(panel.kind))
        ]
        for panel in panels
    ]


def empty(panels: Sequence[Panel], found: Sequence[Sequence[Series]]) -> list[str]:
    """Return the titles of the panels for which Prometheus has nothing."""
    return [panel.title for panel, series in zip(panels, found, strict=True) if not series]


def _answer(url: str, query: Query, over: TimeRange, step: int) -> Iterator[Series]:
    if query.instant:
        path, times = "query", {"time": over.end}
    else:
        path, times = "query_range", {"start": over.begin, "end": over.end, "step": step}
    parameters = urllib.parse.urlencode({"query": query.expression, **times})
    with urllib.request.urlopen(  # noqa: S310 - the caller's own Prometheus
        f"{url}/api/v1/{path}?{parameters}", timeout=_TIMEOUT_SECONDS
    ) as answer:
        yield from decoded(json.load(answer), query.legend)


def decoded(answer: Mapping[str, Any], legend: str) -> Iterator[Series]:
    """Yield the series of an answer, those that have nothing but NaN left out."""
    for found in answer["data"]["result"]:
        labels = {name: text for name, text in found["metric"].items() if name != "__name__"}
        points = found["values"] if "values" in found else [found["value"]]
        kept = [(time, float(value)) for time, value in points if value != "NaN"]
        if kept:
            times, values = zip(*kept, strict=True)
            yield Series(named(legend, labels), labels, times, values)


def named(legend: str, labels: Mapping[str, str]) -> str:
    """Return a legend with the labels of a series in it; all of them if it says nothing."""
    if legend:
        return re.sub(r"\{\{\s*(\w+)\s*\}\}", lambda found: labels.get(found[1], ""), legend)
    return ", ".join(f"{name}={text}" for name, text in labels.items())


def by_bucket(series: Sequence[Series]) -> list[tuple[float, dict[float, float]]]:
    """Return a histogram's buckets, the lowest first: upper bound, and what is in it by time."""
    buckets: list[tuple[float, dict[float, float]]] = []
    below: dict[float, float] = {}
    for found in sorted(series, key=_bound):
        total = dict(zip(found.times, found.values, strict=True))
        counts = {time: max(0.0, value - below.get(time, 0.0)) for time, value in total.items()}
        buckets.append((_bound(found), counts))
        below = total
    return buckets


def _bound(series: Series) -> float:
    return float(series.labels["le"])
