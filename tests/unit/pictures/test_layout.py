"""Where a dashboard's parts stand on its picture."""

import itertools

import pytest

from tests.support.pictures.layout import WIDTH, Box, box_of, height_of, tick_of_time, tick_of_value
from tests.support.pictures.model import Place


def right(box: Box) -> float:
    return box.left + box.width


def test_panels_side_by_side_fill_the_width_with_equal_gaps() -> None:
    boxes = [box_of(Place(x, 0, 8, 8)) for x in (0, 8, 16)]

    gaps = [after.left - right(before) for before, after in itertools.pairwise(boxes)]
    assert [round(gap, 6) for gap in gaps] == [8, 8]
    assert round(boxes[0].left, 6) == round(WIDTH - right(boxes[-1]), 6)


def test_lines_of_the_grid_are_below_each_other_and_on_the_picture() -> None:
    above, below = box_of(Place(0, 0, 24, 1)), box_of(Place(0, 1, 24, 8))

    assert above.top + above.height < below.top
    assert below.top + below.height < height_of(9)


def test_margins_are_taken_from_all_sides() -> None:
    assert Box(10, 20, 100, 50).inner(1, 2, 3, 4) == Box(11, 22, 96, 44)


@pytest.mark.parametrize(
    ("top", "unit", "expected"),
    [(62, "short", 20), (1, "short", 0.2), (0.03, "s", 0.01), (64 * 2**20, "bytes", 16 * 2**20)],
)
def test_marks_of_values_are_few_and_round(top: float, unit: str, expected: float) -> None:
    assert tick_of_value(top, unit) == pytest.approx(expected)


@pytest.mark.parametrize(
    ("seconds", "expected"), [(6, 5), (180, 60), (3 * 3600, 3600), (1e6, 86_400)]
)
def test_marks_of_time_are_round_on_a_clock(seconds: float, expected: int) -> None:
    assert tick_of_time(seconds) == expected
