"""A dashboard as a picture."""

from collections.abc import Sequence
from pathlib import Path
from typing import Final

from .canvas import Canvas
from .kinds import DRAW
from .layout import HEAD, WIDTH, Box, box_of, height_of
from .model import Dashboard, Panel, Row
from .series import Series, TimeRange
from .themes import Theme

#: Stands in each picture: it shall be taken for no screenshot.
NOTE: Final = "rendered from the dashboard's JSON with data of a test run"


def draw(
    dashboard: Dashboard,
    found: Sequence[Sequence[Series]],
    over: TimeRange,
    theme: Theme,
    path: Path,
) -> None:
    """Write a dashboard's picture as PNG.

    Args:
        dashboard: what is drawn.
        found: the series of each of its panels, in their order.
        over: the time of all panels.
        theme: its colours.
        path: the file.
    """
    canvas = Canvas(height_of(dashboard.height), theme)
    canvas.text(dashboard.title, 16, HEAD / 2, size=19, bold=True)
    canvas.text(NOTE, WIDTH - 16, HEAD / 2, size=12, colour=theme.faint, anchor="right")
    for row in dashboard.rows:
        _draw_row(canvas, box_of(row.place), row)
    for panel, series in zip(dashboard.panels, found, strict=True):
        _draw_panel(canvas, box_of(panel.place), panel, series, over)
    canvas.write(path)


def _draw_row(canvas: Canvas, box: Box, row: Row) -> None:
    middle = box.top + box.height / 2
    sign = "▸" if row.hidden else "▾"
    canvas.text(f"{sign}  {row.title}", box.left + 6, middle, size=14, bold=True)
    if row.hidden:
        panels = f"({row.hidden} panels)"
        canvas.text(panels, WIDTH - 16, middle, colour=canvas.theme.faint, anchor="right")


def _draw_panel(
    canvas: Canvas, box: Box, panel: Panel, series: Sequence[Series], over: TimeRange
) -> None:
    theme = canvas.theme
    canvas.box(box, theme.panel, edge=theme.border)
    if series:
        DRAW[panel.kind](canvas, box, panel, series, over)
    else:
        middle = box.top + box.height / 2
        canvas.text(
            "No data", box.left + box.width / 2, middle, colour=theme.faint, anchor="center"
        )
    is_coloured = bool(series) and panel.look.is_background_coloured
    canvas.text(
        panel.title,
        box.left + 12,
        box.top + 18,
        bold=True,
        colour="#ffffff" if is_coloured else None,
    )
