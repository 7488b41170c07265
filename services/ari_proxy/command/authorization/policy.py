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
        self._allow = [_compile(rule) for rule in allow]
        self._deny = [_compile(rule) for rule in deny]
        self._allows_all = "* /**" in allow

    def permits(self, method: str, path: str) -> bool:
        """Return whether a client may send `method` to `path`.

        Args:
            method: in upper case.
            path: percent-encoded, as it is sent, without a query.
        """
        if self._allows_all and not self._deny:
            return True
        subject = f"{method} {_joined(decoding.segments(path))}"
        if any(rule.fullmatch(subject) for rule in self._deny):
            return False
        return self._allows_all or any(rule.fullmatch(subject) for rule in self._allow)


def _compile(rule: str) -> re.Pattern[str]:
    method, _, path = rule.partition(" ")
    pattern = "[A-Z]+" if method == "*" else re.escape(method)
    segments = path[1:].split("/")
    for index, segment in enumerate(segments):
        if segment == "**" and index == len(segments) - 1:
            return re.compile(
                pattern + " " + _pattern(segments[:index]) + f"({_END}.*)?", re.DOTALL
            )
    return re.compile(pattern + " " + _pattern(segments), re.DOTALL)


def _joined(segments: Sequence[str]) -> str:
    return "".join(_END + segment for segment in segments)


def _pattern(segments: Sequence[str]) -> str:
    return _joined([_segment(segment) for segment in segments])


def _segment(segment: str) -> str:
    if segment == "*" or (segment.startswith("{") and segment.endswith("}")):
        return f"[^{_END}]*"
    return re.escape(segment)
