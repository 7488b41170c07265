"""What is said, as the media that Asterisk plays. Sans-I/O.

Asterisk reads `number:`, `digits:` and `characters:` by itself (res_stasis_playback.c), in the
channel's language. It has no media for a date: that is put together from the sounds of its English
set, in the order of English.
"""

from collections.abc import Sequence
from datetime import date
from typing import Final

#: Of `digits:`, as Asterisk reads them.
_DIGITS: Final = frozenset("0123456789*#")
_TWENTY: Final = 20
#: Years that are said as two numbers, like nineteen eighty-four.
_PAIRED_YEARS: Final = range(1100, 2000)
_TEN: Final = 10


def media(what: str | Sequence[str]) -> list[str]:
    """Return one or several media as a list."""
    return [what] if isinstance(what, str) else list(what)


def spoken(what: int | str | date) -> list[str]:
    """Return the media that say something.

    Args:
        what: a number is said as such, a text of digits digit by digit, any other text letter by
            letter, and a date in English, like Saturday, November 28th, 2026.

    Raises:
        ValueError: there is nothing to say.
    """
    if isinstance(what, date):
        return _date(what)
    if isinstance(what, int):
        return [f"number:{what}"]
    if not what:
        raise ValueError("an empty text can't be said")
    return [f"digits:{what}" if set(what) <= _DIGITS else f"characters:{what}"]


def _date(what: date) -> list[str]:
    weekday = what.isoweekday() % 7
    return [
        f"sound:digits/day-{weekday}",
        f"sound:digits/mon-{what.month - 1}",
        *_ordinal(what.day),
        *_year(what.year),
    ]


def _ordinal(number: int) -> list[str]:
    tens, ones = divmod(number, _TEN)
    if number <= _TWENTY or not ones:
        return [f"sound:digits/h-{number}"]
    return [f"sound:digits/{tens * _TEN}", f"sound:digits/h-{ones}"]


def _year(year: int) -> list[str]:
    century, rest = divmod(year, 100)
    if year not in _PAIRED_YEARS:
        return [f"number:{year}"]
    if not rest:
        return [f"number:{century}", "sound:digits/hundred"]
    zero = ["sound:digits/oh"] if rest < _TEN else []
    return [f"number:{century}", *zero, f"number:{rest}"]
