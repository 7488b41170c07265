"""The table of metrics has each row once."""

from ari_proxy.telemetry import metrics_table
from ari_proxy.telemetry.metrics_table import TABLE, Definition


def test_every_definition_is_a_row_of_the_table() -> None:
    defined = [value for value in vars(metrics_table).values() if isinstance(value, Definition)]

    assert list(TABLE) == defined
    assert len({row.name for row in TABLE}) == len(TABLE)


def test_only_histograms_have_buckets_and_only_counters_are_read() -> None:
    for row in TABLE:
        assert bool(row.buckets) is (row.kind == "histogram")
        assert not row.is_read or row.kind == "counter"
        assert row.name.endswith("_total") is (row.kind == "counter")
