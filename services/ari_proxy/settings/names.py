"""The names of settings: which exist, and which one a misspelt name is closest to."""

import difflib
from collections.abc import Iterable, Iterator, Mapping
from typing import Any, Final

from pydantic import BaseModel
from pydantic.fields import FieldInfo

Path = tuple[str, ...]
#: How much of a name has to be right, from 0 to 1.
_LIKENESS: Final = 0.7


def paths(fields: Mapping[str, FieldInfo]) -> Iterator[tuple[Path, FieldInfo]]:
    """Yield all settings, and the groups in which they stand, by their paths."""
    for name, info in fields.items():
        yield (name,), info
        group: Any = info.annotation
        if isinstance(group, type) and issubclass(group, BaseModel):
            for path, inner in paths(group.model_fields):
                yield (name, *path), inner


def nearest(name: str, known: Iterable[str]) -> str:
    """Return which of the known names is meant, or '' if none is like it; case does not matter."""
    folded = {candidate.casefold(): candidate for candidate in known}
    found = difflib.get_close_matches(name.casefold(), folded, n=1, cutoff=_LIKENESS)
    return folded[found[0]] if found else ""


def hint(meant: str) -> str:
    """Return the end of a sentence about a name that there is not."""
    return f"; did you mean {meant}?" if meant else ""
