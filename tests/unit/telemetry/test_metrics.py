"""Metrics of one process, as they are scraped."""

from ari_proxy.telemetry import metrics_table as table
from ari_proxy.telemetry.metrics import Metrics


def series(metrics: Metrics, name: str) -> list[str]:
    lines = metrics.text().decode().splitlines()
    return [line for line in lines if line.startswith(name)]


def test_only_metrics_with_a_prefix_are_registered() -> None:
    text = Metrics(prefixes=("ariproxy_command",)).text().decode()

    assert "ariproxy_command_in_flight" in text
    assert "ariproxy_ingest" not in text


def test_value_kept_elsewhere_is_read_at_each_scrape() -> None:
    metrics = Metrics()
    values = iter([1, 2])
    metrics.read(table.BUS_DROPPED, lambda: next(values), "a", "NATS")

    assert series(metrics, table.BUS_DROPPED.name) == [
        f'{table.BUS_DROPPED.name}{{bus="NATS",server_id="a"}} 1.0'
    ]
    assert series(metrics, table.BUS_DROPPED.name) == [
        f'{table.BUS_DROPPED.name}{{bus="NATS",server_id="a"}} 2.0'
    ]


def test_child_is_made_once() -> None:
    metrics = Metrics()

    assert metrics.counter(table.RECONCILES, "ok") is metrics.counter(table.RECONCILES, "ok")


def test_forgotten_labels_have_no_series() -> None:
    metrics = Metrics()
    metrics.gauge(table.OPERATOR_READY, "voice", "one").set(1)
    metrics.gauge(table.OPERATOR_READY, "voice", "two").set(1)
    metrics.forget(table.OPERATOR_READY, "voice", "one")
    metrics.forget(table.OPERATOR_READY, "voice", "never seen")

    (line,) = series(metrics, table.OPERATOR_READY.name)
    assert 'name="two"' in line
