"""Where things stand on a picture, in pixels from its top left corner."""

import math
from dataclasses import dataclass
from typing import Final

from .model import Place

#: The picture's width; what documentation shows it in is narrower.
WIDTH: Final = 1200
#: The line with the dashboard's title.
HEAD: Final = 46
_MARGIN: Final = 10
_GAP: Final = 8
_COLUMNS: Final = 24
#: A line of the grid, with the gap below it.
_LINE: Final = 34
_TIME_MARKS: Final = 4
_ROUND_SECONDS: Final = (5, 10, 15, 30, 60, 120, 300, 600, 900, 1_800, 3_600, 10_800, 21_600)


@dataclass(frozen=True)
class Box:
    """A rectangle."""

    left: float
    top: float
    width: float
    height: float

    def inner(self, left: float, top: float, right: float, bottom: float) -> "Box":
        """Return what is left of it with these margins."""
        return Box(
            self.left + left, self.top + top, self.width - left - right, self.height - top - bottom
        )


def box_of(place: Place) -> Box:
    """Return where a place of the grid is."""
    column = (WIDTH - 2 * _MARGIN + _GAP) / _COLUMNS
    return Box(
        _MARGIN + place.x * column,
        HEAD + place.y * _LINE,
        place.width * column - _GAP,
        place.height * _LINE - _GAP,
    )


def height_of(lines: int) -> int:
    """Return the height of a picture with so many lines of the grid."""
    return HEAD + lines * _LINE + _MARGIN - _GAP


def tick_of_value(top: float, unit: str) -> float:
    """Return the distance of an axis' marks, of which there are three to five up to a value."""
    if unit == "bytes":
        return float(2 ** math.floor(math.log2(top / 2.5)))
    size = 10.0 ** math.floor(math.log10(top / 2.5))
    return max(size * step for step in (1, 2, 5) if size * step <= top / 2.5)


def tick_of_time(seconds: float) -> int:
    """Return the distance of the marks of a time axis, round on a clock."""
    return next((step for step in _ROUND_SECONDS if seconds / step <= _TIME_MARKS), 86_400)
