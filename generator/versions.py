"""Versions of Asterisk, as the description and as our code write them."""

from . import corrections
from .description import Operation, Resource


def since(resource: Resource, operation: Operation) -> tuple[str, ...]:
    """Return since when Asterisk has an operation, in each of its branches, in their order."""
    known = corrections.SINCE.get((resource.name, operation.nickname), operation.since)
    return tuple(sorted(known, key=_numbers))


def newer(resource: Resource, operation: Operation) -> dict[str, tuple[str, ...]]:
    """Return the parameters that are newer than their operation."""
    return {
        parameter: versions
        for (of, nickname, parameter), versions in corrections.PARAMETER_SINCE.items()
        if (of, nickname) == (resource.name, operation.nickname)
    }


def literal(versions: tuple[str, ...]) -> str:
    """Return Python's source of versions by branch: `{22: (22, 10, 0)}`."""
    entries = (f"{_numbers(text)[0]}: {_numbers(text)}" for text in versions)
    return f"{{{', '.join(entries)}}}"


def words(versions: tuple[str, ...]) -> str:
    """Return versions as people write them: `20.20, 22.10, 23.4`."""
    return ", ".join(text.removesuffix(".0") for text in versions)


def _numbers(text: str) -> tuple[int, ...]:
    return tuple(int(number) for number in text.split("."))
