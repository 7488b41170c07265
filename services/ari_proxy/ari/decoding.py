"""URL decoding as Asterisk does it, which differs from RFC 3986. Sans-I/O.

Measured on Asterisk 22 and 16 (tests/integration/test_decoding.py); in its source, `ast_uri_decode`
of utils.c, `ast_ari_invoke` of res_ari.c and `ast_app_separate_args` of app.c.
"""

import functools
import re
from collections.abc import Iterator
from typing import Final

#: `%` and the part of the next two characters that C's `sscanf("%2x")` takes: a sign counts as one
#: of the two, and a second character that is no digit is dropped.
_ESCAPE: Final = re.compile(rb"%(?:([0-9A-Fa-f]{2}|[+-][0-9A-Fa-f])|([0-9A-Fa-f]).)", re.DOTALL)
#: C libraries differ on `0x` without a digit after it: some read zero, some nothing.
AMBIGUOUS: Final = re.compile("%0[xX]")

#: Each check of a command looks at the segments of its path.
_PATHS: Final = 64

_OPENING: Final = {")": "(", "]": "["}


def decode(text: str) -> str:
    """Return a segment of a path, or a part of a query, as Asterisk reads it.

    A plus is a blank, a percent sign without digits stands for itself, and NUL ends the text. Bytes
    that are not UTF-8 become lone surrogates (PEP 383): no event and no answer of Asterisk can have
    them.
    """
    if "%" not in text:
        return text.replace("+", " ")
    # A plus may be a part of an escape, and an escape may stand for a plus.
    decoded, at, raw = bytearray(), 0, text.encode(errors="surrogateescape")
    for match in _ESCAPE.finditer(raw):
        decoded += raw[at : match.start()].replace(b"+", b" ")
        decoded.append(int(match[1] or match[2], 16) & 0xFF)
        at = match.end()
    decoded += raw[at:].replace(b"+", b" ")
    return bytes(decoded).partition(b"\0")[0].decode(errors="surrogateescape")


@functools.lru_cache(_PATHS)
def segments(path: str) -> tuple[str, ...]:
    """Return the decoded segments of a path like `/channels/1.2`, up to the first empty one."""
    found = []
    for segment in path[1:].split("/"):
        if not segment:
            break
        found.append(decode(segment))
    return tuple(found)


def parameters(query: str) -> list[tuple[str, str]]:
    """Return the names and values of an encoded query, in order; of equal names the last counts."""
    pairs = (part.partition("=") for part in query.split("&"))
    return [(decode(name), decode(value)) for name, _, value in pairs]


def arguments(text: str) -> list[str]:
    """Return the values of a decoded parameter that takes a list, like `1.2,1.3`.

    Commas in quotes, parentheses and brackets, and those after a backslash, are part of a value;
    quotes and backslashes are removed.
    """
    found, depths = [""], {"(": 0, "[": 0}
    for character, is_literal, is_quoted in _unquoted(text):
        if character == "," and not (is_literal or is_quoted or any(depths.values())):
            found.append("")
            continue
        if not is_literal:
            _nest(depths, character)
        found[-1] += character
    return found


def _unquoted(text: str) -> Iterator[tuple[str, bool, bool]]:
    """Yield each character, whether a backslash precedes it, and whether it is in quotes."""
    is_literal = is_quoted = False
    for character in text:
        if is_literal or character not in '"\\':
            yield character, is_literal, is_quoted
            is_literal = False
        elif character == '"':
            is_quoted = not is_quoted
        else:
            is_literal = True


def _nest(depths: dict[str, int], character: str) -> None:
    """Update the numbers of open parentheses and brackets."""
    if character in depths:
        depths[character] += 1
    elif character in _OPENING:
        opening = _OPENING[character]
        depths[opening] = max(0, depths[opening] - 1)


def is_text(decoded: str) -> bool:
    """Return whether a decoded text is UTF-8; Asterisk can't list an object with another name."""
    return not any("\ud800" <= character <= "\udfff" for character in decoded)
