"""Arguments of an application, separated as Asterisk does it. Sans-I/O.

Asterisk 22, main/app.c, `__ast_app_separate_args`.
"""

from typing import Final

_OPENING: Final = "(["
_CLOSING: Final = ")]"


def separated(text: str) -> tuple[str, ...]:
    """Return the arguments in a text.

    A comma separates, unless it is in quotation marks, parentheses or brackets, or behind a
    backslash; quotation marks and such a backslash are left out.
    """
    if not text:
        return ()
    arguments, depths, is_quoted = [""], [0, 0], False
    characters = iter(text)
    for character in characters:
        if character == "\\":
            arguments[-1] += next(characters, "")
            continue
        if character == '"':
            is_quoted = not is_quoted
            continue
        if character == "," and not is_quoted and not any(depths):
            arguments.append("")
            continue
        _count(depths, character)
        arguments[-1] += character
    return tuple(arguments)


def _count(depths: list[int], character: str) -> None:
    """Count how many parentheses, and how many brackets, are open."""
    if character in _OPENING:
        depths[_OPENING.index(character)] += 1
    elif character in _CLOSING:
        kind = _CLOSING.index(character)
        depths[kind] = max(0, depths[kind] - 1)
