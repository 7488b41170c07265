"""Formats of `ladder`. Imports next to nothing, since every command of the CLI loads it."""

from enum import StrEnum


class Format(StrEnum):
    """A format of `ladder`."""

    TEXT = "text"
    MERMAID = "mermaid"
    SVG = "svg"
    JSON = "json"
