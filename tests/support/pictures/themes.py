"""Grafana's colours, light and dark."""

from dataclasses import dataclass
from typing import Final


@dataclass(frozen=True)
class Theme:
    """The colours of a picture."""

    page: str
    panel: str
    border: str
    text: str
    faint: str
    grid: str
    #: Of thresholds, by name.
    named: dict[str, str]
    #: Of series, in turn.
    series: tuple[str, ...]
    #: From few to many.
    heat: tuple[str, ...]


_DARK: Final = Theme(
    page="#111217",
    panel="#181b1f",
    border="#2c2f36",
    text="#d8d9df",
    faint="#9da0ab",
    grid="#2a2d34",
    named={"green": "#4f9a46", "red": "#d0384a", "blue": "#6ea6ff"},
    series=("#73bf69", "#f2cc0c", "#8ab8ff", "#ff9830", "#f2495c", "#b877d9", "#5fd1c4", "#fa9fb5"),
    heat=("#181b1f", "#5c2d12", "#b8530f", "#f28a2e", "#ffd7a3"),
)
_LIGHT: Final = Theme(
    page="#f4f5f5",
    panel="#ffffff",
    border="#d9dbdf",
    text="#24292e",
    faint="#5f646d",
    grid="#e9eaec",
    named={"green": "#37872d", "red": "#c4162a", "blue": "#1f60c4"},
    series=("#37872d", "#c99700", "#1f60c4", "#e0620d", "#c4162a", "#8f3bb8", "#0f8a7e", "#b5316b"),
    heat=("#ffffff", "#fde0bf", "#fdae6b", "#e6550d", "#8c2d04"),
)
THEMES: Final = {"dark": _DARK, "light": _LIGHT}
