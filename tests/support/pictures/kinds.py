"""How each kind of panel is drawn."""

import itertools
from collections.abc import Callable, Mapping, Sequence
from datetime import UTC, datetime
from typing import Final

from matplotlib.axes import Axes
from matplotlib.colors import LinearSegmentedColormap
from matplotlib.ticker import FuncFormatter, MultipleLocator

from .canvas import Canvas
from .layout import Box, tick_of_time, tick_of_value
from .model import Panel
from .series import Series, TimeRange, by_bucket
from .units import written

_LABEL_PIXELS: Final = 11.0
_LEGEND_LINE: Final = 17
_LEGEND_LINES: Final = 4
_AXIS_LEFT, _AXIS_BOTTOM = 60, 24
_TABLE_LINE: Final = 24
_WHITE: Final = "#ffffff"

#: A series with its colour.
Line = tuple[Series, str]


def draw_time_series(
    canvas: Canvas, box: Box, panel: Panel, series: Sequence[Series], over: TimeRange
) -> None:
    """Draw lines, and below them what they are."""
    lines = _lines(canvas, panel, series)
    legend = _draw_legend(canvas, box, panel, lines)
    axes = _axes(canvas, box.inner(_AXIS_LEFT, 40, 12, _AXIS_BOTTOM + legend), over)
    for found, colour in lines:
        axes.plot(found.times, found.values, color=colour, linewidth=1.1)
        axes.fill_between(
            found.times, found.values, color=colour, alpha=panel.look.fill, linewidth=0
        )
    top = max(max(found.values) for found in series) or 1
    if panel.look.minimum is not None:
        axes.set_ylim(panel.look.minimum, top * 1.1)
    axes.yaxis.set_major_locator(MultipleLocator(tick_of_value(top, panel.look.unit)))
    axes.yaxis.set_major_formatter(FuncFormatter(lambda y, _: written(y, panel.look.unit)))
    axes.grid(axis="both", color=canvas.theme.grid, linewidth=0.7)


def _axes(canvas: Canvas, box: Box, over: TimeRange) -> Axes:
    """Return axes with the time of day below them."""
    axes = canvas.axes(box)
    axes.set_axisbelow(True)
    axes.set_xlim(over.begin, over.end)
    axes.xaxis.set_major_locator(MultipleLocator(tick_of_time(over.end - over.begin)))
    axes.xaxis.set_major_formatter(FuncFormatter(lambda x, _: _time_of_day(x)))
    axes.tick_params(
        length=0,
        labelsize=_LABEL_PIXELS * 0.72,
        labelcolor=canvas.theme.faint,
        labelfontfamily="DejaVu Sans",
    )
    for spine in axes.spines.values():
        spine.set_visible(False)
    return axes


def _time_of_day(seconds: float) -> str:
    return f"{datetime.fromtimestamp(seconds, UTC):%H:%M:%S}"


def _draw_legend(canvas: Canvas, box: Box, panel: Panel, lines: Sequence[Line]) -> int:
    """Write what lines are, along the bottom of a box; return how high that is."""
    shown = lines[:_LEGEND_LINES]
    top = box.top + box.height - 6 - len(shown) * _LEGEND_LINE
    right = box.left + box.width - 12
    for number, (found, colour) in enumerate(shown):
        middle = top + (number + 0.5) * _LEGEND_LINE
        more = len(lines) - len(shown) if number == len(shown) - 1 else 0
        name = f"{found.legend} (+{more})" if more else found.legend
        canvas.box(Box(box.left + 12, middle - 1.5, 14, 3), colour)
        canvas.text(name, box.left + 34, middle, size=_LABEL_PIXELS)
        if panel.look.has_maxima:
            most = f"max {written(max(found.values), panel.look.unit)}"
            canvas.text(
                most, right, middle, size=_LABEL_PIXELS, colour=canvas.theme.faint, anchor="right"
            )
    return len(shown) * _LEGEND_LINE


def _lines(canvas: Canvas, panel: Panel, series: Sequence[Series]) -> list[Line]:
    """Return series with their colours, in the legend's order."""
    colours = itertools.cycle(canvas.theme.series)
    lines = list(zip(series, colours, strict=False))
    if panel.look.has_maxima:
        lines.sort(key=lambda line: -max(line[0].values))
    return lines


def draw_stat(
    canvas: Canvas, box: Box, panel: Panel, series: Sequence[Series], over: TimeRange
) -> None:
    """Draw one number, on the colour of its threshold or in it."""
    del over
    value = series[0].values[-1]
    colour = canvas.theme.named[_reached(panel, value)]
    if panel.look.is_background_coloured:
        canvas.box(box, colour)
    number = _WHITE if panel.look.is_background_coloured else colour
    middle = box.top + box.height / 2 + 10
    text = written(value, panel.look.unit)
    canvas.text(
        text, box.left + box.width / 2, middle, size=34, colour=number, bold=True, anchor="center"
    )


def _reached(panel: Panel, value: float) -> str:
    """Return the colour of the last threshold that a value has reached."""
    return [colour for least, colour in panel.look.thresholds if value >= least][-1]


def draw_table(
    canvas: Canvas, box: Box, panel: Panel, series: Sequence[Series], over: TimeRange
) -> None:
    """Draw a line for each series: its labels, and its value on the colour of its threshold."""
    del over
    names = list(dict.fromkeys(name for found in series for name in found.labels))
    inside = box.inner(12, 34, 12, 8)
    column = inside.width / (len(names) + 1)
    rows = sorted(series, key=lambda found: found.values[-1])
    fitting = int(inside.height // _TABLE_LINE) - 1
    for number, name in enumerate((*names, "Value")):
        x, y = inside.left + number * column, inside.top + _TABLE_LINE / 2
        canvas.text(name, x + 6, y, size=12, colour=canvas.theme.named["blue"], bold=True)
    for line, found in enumerate(rows[:fitting], start=1):
        middle = inside.top + (line + 0.5) * _TABLE_LINE
        for number, name in enumerate(names):
            canvas.text(found.labels.get(name, ""), inside.left + number * column + 6, middle)
        value = found.values[-1]
        cell = Box(inside.left + len(names) * column, middle - 11, column, _TABLE_LINE - 2)
        canvas.box(cell, canvas.theme.named[_reached(panel, value)])
        canvas.text(written(value, panel.look.unit), cell.left + 8, middle, colour=_WHITE)


def draw_heat_map(
    canvas: Canvas, box: Box, panel: Panel, series: Sequence[Series], over: TimeRange
) -> None:
    """Draw how many of each time are in each bucket; buckets above and below all are left out."""
    buckets = by_bucket(series)
    used = [number for number, (_, counts) in enumerate(buckets) if any(counts.values())]
    buckets = buckets[min(used, default=0) : max(used, default=0) + 1]
    times = sorted({time for _, counts in buckets for time in counts})
    cells = [[counts.get(time, 0.0) for time in times] for _, counts in buckets]
    axes = _axes(canvas, box.inner(_AXIS_LEFT + 10, 38, 12, _AXIS_BOTTOM + 6), over)
    colours = LinearSegmentedColormap.from_list("heat", canvas.theme.heat)
    edges = [*times, times[-1] + over.step(panel.kind)]
    axes.pcolormesh(
        edges,
        range(len(buckets) + 1),
        cells,
        cmap=colours,
        edgecolors=canvas.theme.panel,
        linewidth=0.6,
    )
    axes.set_yticks([number + 0.5 for number in range(len(buckets))])
    axes.set_yticklabels([_bound(bound, panel.look.unit) for bound, _ in buckets])


def _bound(bound: float, unit: str) -> str:
    return "+Inf" if bound == float("inf") else f"≤ {written(bound, unit)}"


Draw = Callable[[Canvas, Box, Panel, Sequence[Series], TimeRange], None]
DRAW: Final[Mapping[str, Draw]] = {
    "timeseries": draw_time_series,
    "stat": draw_stat,
    "table": draw_table,
    "heatmap": draw_heat_map,
}
