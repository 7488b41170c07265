"""Metric values, as Prometheus reads them."""

from prometheus_client.parser import text_string_to_metric_families

from ari_proxy.telemetry.metrics import Metrics
from ari_proxy.telemetry.metrics_table import Definition


def samples(metrics: Metrics, row: Definition) -> dict[tuple[str, ...], float]:
    """Return the values of a counter or gauge by its labels, but for the server's."""
    names = [label for label in row.labels if label != "server_id"]
    return {
        tuple(sample.labels[name] for name in names): sample.value
        for family in text_string_to_metric_families(metrics.text().decode())
        for sample in family.samples
        if sample.name == row.name
    }
