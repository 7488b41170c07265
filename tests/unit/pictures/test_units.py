"""Values as Grafana writes them."""

import pytest

from tests.support import dashboards
from tests.support.pictures.units import written


@pytest.mark.parametrize(
    ("value", "unit", "expected"),
    [
        (0, "short", "0"),
        (12.5, "short", "12.5"),
        (1234, "short", "1.23 K"),
        (0.0042, "s", "4.2 ms"),
        (0.00025, "s", "250 µs"),
        (90, "s", "1.5 min"),
        (0, "s", "0 s"),
        (1536, "bytes", "1.5 KiB"),
        (100, "bytes", "100 B"),
        (20_000, "Bps", "20 kB/s"),
        (3.333, "cps", "3.33 c/s"),
        (2, "reqps", "2 req/s"),
        (0.5, "ops", "0.5 ops/s"),
        (0.0715, "percentunit", "7.15%"),
        (1, "bool_yes_no", "Yes"),
        (0, "bool_yes_no", "No"),
    ],
)
def test_value_has_three_digits_and_its_unit(value: float, unit: str, expected: str) -> None:
    assert written(value, unit) == expected


def test_units_of_all_dashboards_are_known() -> None:
    rows = [row for dashboard in dashboards.DASHBOARDS.values() for row in dashboard.rows]
    for unit in {panel.unit for row in rows for panel in row.panels}:
        assert written(1.0, unit)
