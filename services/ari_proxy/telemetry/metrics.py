"""Metrics of one process: registered from the table, exported in Prometheus's text format."""

from collections.abc import Callable, Iterator

from prometheus_client import (
    CollectorRegistry,
    Counter,
    Gauge,
    Histogram,
    disable_created_metrics,
    generate_latest,
)
from prometheus_client.core import CounterMetricFamily
from prometheus_client.registry import Collector

from .metrics_table import TABLE, Definition

# The `_created` series would double the number of series.
disable_created_metrics()  # type: ignore[no-untyped-call]  # it has no types

_Metric = Counter | Gauge | Histogram


class _ReadCounter(Collector):
    """A counter whose values are kept elsewhere, and read at scrape time."""

    def __init__(self, row: Definition) -> None:
        self._row = row
        self.functions: dict[tuple[str, ...], Callable[[], float]] = {}

    def collect(self) -> Iterator[CounterMetricFamily]:
        """Yield the current values."""
        family = CounterMetricFamily(self._row.name, self._row.help, labels=self._row.labels)
        for labels, function in self.functions.items():
            family.add_metric(labels, function())
        yield family


class Metrics:
    """The metrics of one process, in their own registry."""

    def __init__(self, *, prefixes: tuple[str, ...] = ("",)) -> None:
        """Register the metrics of the table whose names start with one of `prefixes`."""
        self._registry = CollectorRegistry()
        self._metrics: dict[str, _Metric] = {}
        self._children: dict[tuple[str, ...], _Metric] = {}
        self._read: dict[str, _ReadCounter] = {}
        for row in TABLE:
            if row.name.startswith(prefixes):
                self._add(row)

    def _add(self, row: Definition) -> None:
        if row.is_read:
            self._read[row.name] = _ReadCounter(row)
            self._registry.register(self._read[row.name])
        else:
            self._metrics[row.name] = self._make(row)

    def _make(self, row: Definition) -> _Metric:
        if row.kind == "counter":
            return Counter(row.name, row.help, row.labels, registry=self._registry)
        if row.kind == "gauge":
            return Gauge(row.name, row.help, row.labels, registry=self._registry)
        return Histogram(
            row.name, row.help, row.labels, registry=self._registry, buckets=row.buckets
        )

    def counter(self, row: Definition, *labels: str) -> Counter:
        """Return the counter with these labels."""
        metric = self._child(row, labels)
        assert isinstance(metric, Counter)  # noqa: S101  the table says so
        return metric

    def gauge(self, row: Definition, *labels: str) -> Gauge:
        """Return the gauge with these labels."""
        metric = self._child(row, labels)
        assert isinstance(metric, Gauge)  # noqa: S101  the table says so
        return metric

    def histogram(self, row: Definition, *labels: str) -> Histogram:
        """Return the histogram with these labels."""
        metric = self._child(row, labels)
        assert isinstance(metric, Histogram)  # noqa: S101  the table says so
        return metric

    def _child(self, row: Definition, labels: tuple[str, ...]) -> _Metric:
        key = (row.name, *labels)
        child = self._children.get(key)
        if child is None:
            metric = self._metrics[row.name]
            # prometheus-client's own look-up takes a lock and is ten times slower.
            child = self._children[key] = metric.labels(*labels) if labels else metric
        return child

    def read(self, row: Definition, function: Callable[[], float], *labels: str) -> None:
        """Read the value from `function` at each scrape."""
        if row.is_read:
            self._read[row.name].functions[labels] = function
        else:
            self.gauge(row, *labels).set_function(function)

    def forget(self, row: Definition, *labels: str) -> None:
        """Remove the series with these labels."""
        if self._children.pop((row.name, *labels), None) is not None:
            self._metrics[row.name].remove(*labels)

    def text(self) -> bytes:
        """Return all metrics in Prometheus's text format."""
        return generate_latest(self._registry)
