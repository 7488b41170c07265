"""Docstrings of the generated code, in our own words."""

import textwrap
from collections.abc import Iterator
from typing import Final

from . import naming, versions
from .description import Operation, Parameter, Resource
from .words import operations, parameters

#: What the statuses stand for: classes of ari_proxy.client.errors.
ERRORS: Final = {
    400: "InvalidParameters",
    403: "NotAllowed",
    404: "NotFound",
    409: "Conflict",
    412: "InvalidState",
    422: "InvalidParameters",
}
_MEANINGS: Final = {
    "InvalidParameters": "a parameter is missing, or has a value that Asterisk does not take",
    "NotAllowed": "it is forbidden",
    "NotFound": "there is no such object",
    "Conflict": "the state of an object forbids it, or its name is taken",
    "InvalidState": "the channel is not in a state for it",
}
_WIDTH: Final = 100


class MissingWordsError(Exception):
    """`generator/words` says nothing of something new."""


def of_resource(resource: Resource) -> str:
    """Return what a class of operations is about."""
    return _known(operations.RESOURCES, resource.name, resource.name)


def of_method(resource: Resource, operation: Operation) -> str:
    """Return the docstring of a method, without its quotes, indented as in a class.

    Raises:
        MissingWordsError: there are no words of ours for it.
    """
    table = operations.OPERATIONS.get(resource.name, {})
    summary = _known(table, operation.nickname, f"{resource.name}.{operation.nickname}")
    since = versions.words(versions.since(resource, operation))
    lines = [summary, "", f"`{operation.method} {operation.path}`, since Asterisk {since}."]
    if operation.parameters:
        lines += ["", "Args:"]
        for parameter in operation.parameters:
            lines += _item(naming.argument(parameter), _argument(resource, operation, parameter))
    lines += list(_raises(operation))
    return "\n".join(f"        {line}" if line else "" for line in lines).strip()


def _argument(resource: Resource, operation: Operation, parameter: Parameter) -> str:
    key = (resource.name, operation.nickname, parameter.name)
    text = parameters.SPECIAL.get(key) or _known(
        parameters.PARAMETERS, parameter.name, ".".join(key)
    )
    if parameter.default is not None:
        text = f"{text.removesuffix('.')}; Asterisk's default is {_shown(parameter.default)}."
    newer = versions.newer(resource, operation).get(parameter.name)
    return f"{text.removesuffix('.')}; since {versions.words(newer)}." if newer else text


def _shown(default: str | int | bool) -> str:  # noqa: FBT001  a value, not a flag
    return str(default).lower() if isinstance(default, bool) else f"{default}"


def _raises(operation: Operation) -> Iterator[str]:
    codes: dict[str, list[str]] = {}
    for code in operation.errors:
        codes.setdefault(ERRORS.get(code, "RequestFailed"), []).append(str(code))
    if codes:
        yield from ("", "Raises:")
    for error, statuses in codes.items():
        meaning = _MEANINGS.get(error, "it has failed")
        yield from _item(error, f"{meaning} ({', '.join(statuses)}).")


def _item(name: str, text: str) -> list[str]:
    # The class's and the method's indentation come on top of these.
    return textwrap.wrap(
        f"{name}: {text}", _WIDTH - 8, initial_indent="    ", subsequent_indent="        "
    )


def _known(table: dict[str, str], key: str, what: str) -> str:
    if key not in table:
        raise MissingWordsError(f"write into generator/words what {what} is or does")
    return table[key]
