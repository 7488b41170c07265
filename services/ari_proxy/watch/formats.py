"""What a ladder can be drawn as. Imports nothing: the command line starts with it."""

from enum import StrEnum


class Format(StrEnum):
    """What a ladder can be drawn as."""

    TEXT = "text"
    MERMAID = "mermaid"
    SVG = "svg"
    JSON = "json"
