"""Series of a panel, from Prometheus's answers."""

from typing import Any

import pytest

from tests.support.pictures.series import Series, TimeRange, by_bucket, decoded, named


def answer(*results: dict[str, Any]) -> dict[str, Any]:
    return {"data": {"result": list(results)}}


def test_answer_over_time_has_points_and_one_of_now_a_single_one() -> None:
    over_time = {"metric": {"server_id": "a"}, "values": [[10, "1"], [20, "2.5"]]}
    now = {"metric": {"__name__": "up", "server_id": "b"}, "value": [30, "0"]}

    assert list(decoded(answer(over_time, now), "{{server_id}}")) == [
        Series("a", {"server_id": "a"}, (10, 20), (1.0, 2.5)),
        Series("b", {"server_id": "b"}, (30,), (0.0,)),
    ]


def test_what_is_no_number_is_left_out() -> None:
    """A quantile of a time without calls is NaN."""
    gap = {"metric": {}, "values": [[10, "NaN"], [20, "2"]]}
    nothing = {"metric": {}, "values": [[10, "NaN"]]}

    assert [found.times for found in decoded(answer(gap, nothing), "x")] == [(20,)]


@pytest.mark.parametrize(
    ("legend", "expected"),
    [
        ("{{namespace}}/{{ server_id }} p99", "voice/a p99"),
        ("{{application}} x", " x"),
        ("limit", "limit"),
        ("", "namespace=voice, server_id=a"),
    ],
)
def test_legend_has_the_labels_of_its_series(legend: str, expected: str) -> None:
    assert named(legend, {"namespace": "voice", "server_id": "a"}) == expected


def test_bucket_of_a_histogram_has_none_of_those_below() -> None:
    """Prometheus's are cumulative, and in no order."""
    series = [
        Series("", {"le": bound}, (10, 20), values)
        for bound, values in (("+Inf", (5.0, 7.0)), ("0.1", (2.0, 3.0)), ("0.25", (5.0, 6.0)))
    ]

    assert by_bucket(series) == [
        (0.1, {10: 2.0, 20: 3.0}),
        (0.25, {10: 3.0, 20: 3.0}),
        (float("inf"), {10: 0.0, 20: 1.0}),
    ]


def test_points_are_as_close_as_a_picture_shows_them() -> None:
    assert TimeRange(0, 60).step("timeseries") == 1
    assert TimeRange(0, 3 * 3600).step("timeseries") == 45
    assert TimeRange(0, 3 * 3600).step("heatmap") == 240
