"""Messages about settings that can't be used: which one, where it stands, and what is wrong."""

import os
import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

from pydantic import ValidationError
from pydantic.fields import FieldInfo

from . import environment, legacy, names

#: Type of pydantic's error → message.
_MEANINGS: Final = {
    "extra_forbidden": "there is no such setting",
    "tuple_type": 'must be a list: ["a", "b"], in the environment also a,b',
    "dict_type": "must be a JSON object",
    "model_type": "must be a JSON object",
}
#: Of a setting in its group.
_DEPTH: Final = 2
#: What places inside of one of `servers` begin with.
_OF_A_SERVER: Final = re.compile(r"^servers\.\d+\.")


@dataclass(frozen=True, slots=True)
class ServerEntry:
    """One of `servers`."""

    number: int
    own: Mapping[str, object]

    def place_of(self, path: tuple[int | str, ...]) -> str:
        """Return where a setting stands: here, or beside `servers`, where all servers have it."""
        found: object = self.own
        for part in path[:_DEPTH]:
            if not isinstance(found, Mapping) or part not in found:
                return ".".join(map(str, path))
            found = found[part]
        return ".".join(map(str, ("servers", self.number, *path)))


def problems_of(
    error: ValidationError,
    source: str,
    fields: Mapping[str, FieldInfo],
    *,
    is_legacy: bool = False,
    entry: ServerEntry | None = None,
) -> list[str]:
    """Return a line for each bad value.

    Args:
        error: what pydantic objects to.
        source: the configuration file, or `the environment`.
        fields: of the settings class.
        is_legacy: whether the file has go-ari-proxy's keys, which are then shown.
        entry: the one of `servers` whose settings they are, if there are several.
    """
    lines = []
    for item in error.errors(include_input=False, include_url=False):
        name = ".".join(str(part) for part in item["loc"])
        message = _MEANINGS.get(item["type"], item["msg"].removeprefix("Value error, "))
        if item["type"] == "extra_forbidden":
            message = _unknown(name, fields)
        place = entry.place_of(item["loc"]) if entry is not None else name
        lines.append(describe(place, message, source, is_legacy=is_legacy))
    return lines


def _unknown(name: str, fields: Mapping[str, FieldInfo]) -> str:
    """Return what is wrong with a name that is no setting there."""
    own = _OF_A_SERVER.sub("", name)
    if own != name and own in fields:
        return "is a setting of the whole process: it stands beside `servers`"
    return _MEANINGS["extra_forbidden"] + names.hint(_meant(own, fields))


def _meant(name: str, fields: Mapping[str, FieldInfo]) -> str:
    """Return the setting most like `name`: by its path, else by the last part of it; or ''."""
    known = {".".join(path): path[-1] for path, _ in names.paths(fields)}
    by_path = names.nearest(name, known)
    if by_path:
        return by_path
    own = names.nearest(name.rpartition(".")[2], known.values())
    return next((path for path, last in known.items() if last == own), "")


def describe(name: str, message: str, source: str, *, is_legacy: bool) -> str:
    """Return one problem as a line: the setting, where its value stands, and what is wrong."""
    variable = _variable_of(name)
    if variable:
        where = f"environment variable {variable}"
    else:
        key = legacy.place_of(name) if is_legacy else ""
        where = f"{key} of {source}" if key else source
    return f"{name} ({where}): {message}".lstrip()


def _variable_of(name: str) -> str:
    """Return the environment variable that has a setting, or a list around it; '' if none has."""
    path = tuple(name.split("."))
    variables = (environment.variable(path[:length]) for length in range(len(path), 0, -1))
    return next((variable for variable in variables if variable in os.environ), "")
