"""Policies: the operations that clients may use, by method and path template. Sans-I/O."""

import re
from collections.abc import Sequence
from typing import Final

from ari_proxy.ari import decoding

#: Precedes each segment in the text that rules match: a decoded segment may have a slash, but not
#: this.
_END: Final = "\0"


class CommandPolicy:
    """Allow and deny rules; a denial wins, and an operation that no rule allows is denied.

    A rule is a method or `*`, a space and a path. `{name}` and `*` stand for one segment, a `**` at
    the end for any number of segments.
    """

    def __init__(self, allow: Sequence[str], deny: Sequence[str]) -> None:
        self._allow = _compile_all(allow)
        self._deny = _compile_all(deny)
        self._allows_all = "* /**" in allow

    def permits(self, method: str, path: str) -> bool:
        """Return whether a client may send `method` to `path`.

        Args:
            method: in upper case.
            path: percent-encoded, as it is sent, without a query.
        """
        if self._allows_all and self._deny is None:
            return True
        subject = f"{method} {_joined(decoding.segments(path))}"
        if self._deny is not None and self._deny.fullmatch(subject):
            return False
        return self._allows_all or bool(self._allow and self._allow.fullmatch(subject))


def _compile_all(rules: Sequence[str]) -> re.Pattern[str] | None:
    """Return a pattern of what any of the rules concerns; None if there are none."""
    return re.compile("|".join(map(_pattern_of, rules)), re.DOTALL) if rules else None


def _pattern_of(rule: str) -> str:
    method, _, path = rule.partition(" ")
    pattern = "[A-Z]+" if method == "*" else re.escape(method)
    segments = path[1:].split("/")
    for index, segment in enumerate(segments):
        if segment == "**" and index == len(segments) - 1:
            return pattern + " " + _pattern(segments[:index]) + f"({_END}.*)?"
    return pattern + " " + _pattern(segments)


def _joined(segments: Sequence[str]) -> str:
    return _END + _END.join(segments) if segments else ""


def _pattern(segments: Sequence[str]) -> str:
    return _joined([_segment(segment) for segment in segments])


def _segment(segment: str) -> str:
    if segment == "*" or (segment.startswith("{") and segment.endswith("}")):
        return f"[^{_END}]*"
    return re.escape(segment)
