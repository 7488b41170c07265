"""Secrets, and numbers if wished, masked in messages that are shown later. Sans-I/O.

A message is JSON that may hold JSON as text, so that quotes have any number of backslashes.
"""

import re
from typing import Final

_NAME: Final = rb"[\w-]{0,40}(?:api_?key|passw(?:or)?d|secret|token|authorization)[\w-]{0,40}"
_QUOTE: Final = rb'\\{0,8}"'
_OPENS: Final = _QUOTE + rb"\s{0,4}:\s{0,4}" + _QUOTE
_AMPERSAND: Final = rb"(?:&|\\u0026)"
#: A secret by the name of its field, parameter or channel variable. Each repetition is bounded, so
#: that no message makes it slow.
_SECRETS: Final = re.compile(
    rb"(?i)("
    rb"(?:[?;]|" + _AMPERSAND + rb")" + _NAME + rb"=|"
    rb'"' + _NAME + _OPENS + rb"|"
    rb"variable=" + _NAME + _AMPERSAND + rb"value=|"
    rb"variable" + _OPENS + _NAME + _QUOTE + rb"," + _QUOTE + rb"value" + _OPENS + rb")"
    rb'([^"\\&]+)'
)
#: Five digits and more, which may be a telephone number: no part of an id or of a time. Behind `":`
#: comes a number of JSON's own, which must stay one.
_NUMBERS: Final = re.compile(
    rb"(?:(?<![\w.:-])|(?<=%2[FfBb])|(?<=[pP]:))(\+?\d{2,30})(\d{3})(?![\w.])"
)
_MASK: Final = b"***"


class Masking:
    """Masks what must not be shown."""

    def __init__(self, *, numbers: bool = False) -> None:
        """Initialise it.

        Args:
            numbers: whether to mask telephone numbers, too, all but their last three digits.
        """
        self._numbers = numbers

    def masked(self, message: bytes) -> bytes:
        """Return a message with masks; it is JSON if it was."""
        shown = _SECRETS.sub(rb"\1" + _MASK, message)
        return _NUMBERS.sub(_MASK + rb"\2", shown) if self._numbers else shown
