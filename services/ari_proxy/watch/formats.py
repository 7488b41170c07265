"""Formats of `ladder`, states of `calls`. Imports next to nothing: all of the CLI loads it."""

from enum import StrEnum


class Format(StrEnum):
    """A format of `ladder`."""

    TEXT = "text"
    MERMAID = "mermaid"
    SVG = "svg"
    JSON = "json"


class CallState(StrEnum):
    """Which calls `calls` shows."""

    ALL = "all"
    OPEN = "open"
    ENDED = "ended"
