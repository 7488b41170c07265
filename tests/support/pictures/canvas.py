"""A picture that is drawn on in pixels, on matplotlib's figure."""

import io
from pathlib import Path
from typing import Final, Literal

from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from matplotlib.patches import FancyBboxPatch
from PIL import Image

from .layout import WIDTH, Box
from .themes import Theme

#: Pixels of the file for one of the picture: sharp on screens that have two for one.
_SCALE: Final = 1.5
_DOTS_PER_INCH: Final = 100
_POINTS_PER_INCH: Final = 72
_CORNER: Final = 2
_COLOURS: Final = 256
#: matplotlib brings it along, so that pictures are the same everywhere.
_FONT: Final = "DejaVu Sans"


class Canvas:
    """A picture of one width."""

    def __init__(self, height: int, theme: Theme) -> None:
        """Make an empty picture, `height` pixels high."""
        self.theme = theme
        self._height = height
        size = WIDTH / _DOTS_PER_INCH, height / _DOTS_PER_INCH
        self._figure = Figure(figsize=size, dpi=_DOTS_PER_INCH, facecolor=theme.page)
        FigureCanvasAgg(self._figure)

    def box(self, box: Box, colour: str, *, edge: str | None = None) -> None:
        """Fill a rectangle with round corners."""
        corner = min(_CORNER, box.height / 3)
        patch = FancyBboxPatch(
            (box.left / WIDTH, 1 - (box.top + box.height) / self._height),
            box.width / WIDTH,
            box.height / self._height,
            boxstyle=f"round,pad=0,rounding_size={corner / WIDTH}",
            mutation_aspect=WIDTH / self._height,
            facecolor=colour,
            edgecolor=edge or colour,
            linewidth=0.8,
            transform=self._figure.transFigure,
        )
        self._figure.patches.append(patch)

    def text(
        self,
        text: str,
        left: float,
        middle: float,
        *,
        size: float = 12.5,
        colour: str | None = None,
        bold: bool = False,
        anchor: Literal["left", "center", "right"] = "left",
    ) -> None:
        """Write a line, `size` pixels high, around the height `middle`."""
        self._figure.text(
            left / WIDTH,
            1 - middle / self._height,
            text,
            size=size * _POINTS_PER_INCH / _DOTS_PER_INCH,
            color=colour or self.theme.text,
            weight="bold" if bold else "normal",
            ha=anchor,
            va="center_baseline",
            family=_FONT,
        )

    def axes(self, box: Box) -> Axes:
        """Return axes whose inside is a rectangle."""
        return self._figure.add_axes(
            (
                box.left / WIDTH,
                1 - (box.top + box.height) / self._height,
                box.width / WIDTH,
                box.height / self._height,
            ),
            facecolor="none",
            zorder=2,  # Above all boxes.
        )

    def write(self, path: Path) -> None:
        """Write it as PNG, in as many colours as a palette has: a third of the size."""
        drawn = io.BytesIO()
        self._figure.savefig(drawn, dpi=_DOTS_PER_INCH * _SCALE, format="png")
        image = Image.open(drawn).convert("RGB")
        image.quantize(_COLOURS, dither=Image.Dither.NONE).save(path, optimize=True)
