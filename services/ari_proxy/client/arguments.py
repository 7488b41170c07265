"""Arguments of an application, as Asterisk separates them from one text. Sans-I/O.

Asterisk 22, main/app.c, `__ast_app_separate_args`: a comma separates, unless it is in quotation
marks, parentheses or brackets, or behind a backslash.
"""

import re
from collections.abc import Sequence
from typing import Final

_SPECIAL: Final = re.compile(r'([\\,"()\[\]])')


def joined(arguments: Sequence[str]) -> str | None:
    """Return arguments as one text that Asterisk separates into the same; None if there are none.

    Raises:
        ValueError: there is one, which is empty: Asterisk would make none of it.
    """
    if list(arguments) == [""]:
        raise ValueError("the only argument is empty: Asterisk would tell of none")
    return ",".join(_SPECIAL.sub(r"\\\1", argument) for argument in arguments) or None
