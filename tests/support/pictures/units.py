"""Values as Grafana's units write them."""

from collections.abc import Callable, Mapping
from typing import Final

_SHORT: Final = (1e9, " Bil"), (1e6, " Mil"), (1e3, " K")
_BINARY: Final = (2**30, " GiB"), (2**20, " MiB"), (2**10, " KiB")
_DECIMAL: Final = (1e9, " GB/s"), (1e6, " MB/s"), (1e3, " kB/s")
_SECONDS: Final = (
    (86_400.0, " day"),
    (3_600.0, " hour"),
    (60.0, " min"),
    (1.0, " s"),
    (1e-3, " ms"),
    (1e-6, " µs"),
)


def written(value: float, unit: str) -> str:
    """Return a value with its unit, in three digits.

    Raises:
        KeyError: nobody has told how the unit is written.
    """
    return _UNITS[unit](value)


def _digits(value: float) -> str:
    """Return a number in three digits, without zeros that say nothing."""
    size = abs(value)
    text = f"{value:.0f}" if size >= 100 else f"{value:.1f}" if size >= 10 else f"{value:.2f}"
    return text.rstrip("0").rstrip(".") if "." in text else text


def _scaled(steps: tuple[tuple[float, str], ...], smallest: str) -> Callable[[float], str]:
    """Return a function that writes a value with the largest prefix that fits."""

    def write(value: float) -> str:
        for size, suffix in steps:
            if abs(value) >= size * (1 - 1e-9):
                return f"{_digits(value / size)}{suffix}"
        return f"{_digits(value)}{smallest}"

    return write


_short: Final = _scaled(_SHORT, "")
_UNITS: Final[Mapping[str, Callable[[float], str]]] = {
    "short": _short,
    "bytes": _scaled(_BINARY, " B"),
    "Bps": _scaled(_DECIMAL, " B/s"),
    "s": _scaled(_SECONDS, " s"),
    "cps": lambda value: f"{_short(value)} c/s",
    "reqps": lambda value: f"{_short(value)} req/s",
    "ops": lambda value: f"{_short(value)} ops/s",
    "percentunit": lambda value: f"{_digits(value * 100)}%",
    "bool_yes_no": lambda value: "Yes" if value else "No",
}
