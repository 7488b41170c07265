"""Requests as ARI wants them, made from an operation and its arguments. Sans-I/O."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Final
from urllib.parse import quote, urlencode

import msgspec

from ari_proxy.ari import versions
from ari_proxy.client.errors import InvalidParameters, Unsupported

#: Longest query, in characters; what is longer goes into the body. Asterisk takes request lines of
#: about 4 KB, and a websocket's message names each parameter.
MAX_QUERY: Final = 2_000

#: An argument as a method gets it; None is not sent.
Argument = str | int | bool | Sequence[str] | None


class ReportedVariable(msgspec.Struct, frozen=True):
    """A variable that each later event of its channel or bridge carries."""

    value: str
    report_events: bool = True


#: The value of a variable.
VariableValue = str | ReportedVariable


@dataclass(frozen=True, slots=True, kw_only=True)
class Operation:
    """What the generated code knows of one operation."""

    #: Like `channels.answer`.
    name: str
    method: str
    #: With each parameter in braces.
    path: str
    #: By branch, the first version that has it.
    since: versions.Since
    #: Least values of parameters.
    minimum: Mapping[str, int] = field(default_factory=dict)
    #: Parameters that are newer than the operation.
    newer: Mapping[str, versions.Since] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Request:
    """One request, ready to be sent."""

    method: str
    url: str
    body: str
    #: Names it in errors: no values of parameters, which may be secret.
    description: str


def request(
    operation: Operation,
    path: Mapping[str, str],
    query: Mapping[str, Argument],
    body: Mapping[str, object] | None,
    asterisk_version: str,
) -> Request:
    """Return the request for an operation.

    Args:
        operation: what to do.
        path: values of the path's parameters.
        query: values of other parameters, by ARI's names; None is left out.
        body: the fields of a JSON body; None is left out.
        asterisk_version: the server's, or '' if it is not known.

    Raises:
        Unsupported: the server is older.
        InvalidParameters: a value can't be one that Asterisk takes.
    """
    given = {name: value for name, value in query.items() if value is not None}
    content = {name: value for name, value in (body or {}).items() if value is not None}
    _check_version(operation, given.keys() | content.keys(), asterisk_version)
    _check_reported(operation, content, asterisk_version)
    url = _path(operation, path)
    description = f"{operation.name} ({operation.method} {url})"
    _check_range(operation, given, description)
    texts = {name: _text(name, value, description) for name, value in given.items()}
    encoded = urlencode(texts, quote_via=quote)
    if len(encoded) > MAX_QUERY and operation.method != "GET" and WHOLE_BODY not in content:
        content |= _as_json(given)
    elif encoded:
        url = f"{url}?{encoded}"
    return Request(operation.method, url, _json(content), description)


def _check_version(operation: Operation, parameters: set[str], asterisk_version: str) -> None:
    version = versions.parse(asterisk_version)
    if version is None:
        return
    if not versions.has(version, operation.since):
        raise Unsupported(operation.name, versions.words(operation.since), asterisk_version)
    for name in parameters & operation.newer.keys():
        since = operation.newer[name]
        if not versions.has(version, since):
            what = f"{name} of {operation.name}"
            raise Unsupported(what, versions.words(since), asterisk_version)


def _check_reported(
    operation: Operation, content: Mapping[str, object], asterisk_version: str
) -> None:
    """Older ones would set the variable to the text of a JSON object, or to nothing."""
    version = versions.parse(asterisk_version)
    if version is None or versions.has(version, versions.REPORT_EVENTS):
        return
    for values in content.values():
        if isinstance(values, Mapping) and any(
            isinstance(value, ReportedVariable) for value in values.values()
        ):
            what = f"a ReportedVariable in {operation.name}"
            raise Unsupported(what, versions.words(versions.REPORT_EVENTS), asterisk_version)


def _path(operation: Operation, values: Mapping[str, str]) -> str:
    path = operation.path
    for name, value in values.items():
        if not value:
            # An empty segment ends the path: the request would be another one.
            what = f"{operation.name} ({operation.method} {operation.path})"
            raise InvalidParameters(what, 0, f"{name} is empty")
        path = path.replace(f"{{{name}}}", quote(value, safe=""))
    return path


def _check_range(operation: Operation, given: Mapping[str, Argument], description: str) -> None:
    for name, minimum in operation.minimum.items():
        value = given.get(name)
        if isinstance(value, int) and value < minimum:
            raise InvalidParameters(description, 0, f"{name} is {value}, less than {minimum}")


def _text(name: str, value: Argument, description: str) -> str:
    if isinstance(value, bool):
        return "true" if value else "false"
    if value is None or isinstance(value, str | int):
        return str(value)
    for element in value:
        if "," in element:
            # Asterisk would take it for two.
            raise InvalidParameters(description, 0, f"{name} has a comma in {element!r}")
    return ",".join(value)


def _as_json(given: Mapping[str, Argument]) -> dict[str, object]:
    return {
        name: value if isinstance(value, str | int) or value is None else list(value)
        for name, value in given.items()
    }


def _json(content: Mapping[str, object]) -> str:
    if not content:
        return ""
    whole = content.get(WHOLE_BODY, content)
    return msgspec.json.encode(whole, enc_hook=_plain).decode()


def _plain(value: object) -> object:
    """Return a mapping or a sequence of another kind as one that has a form in JSON."""
    if isinstance(value, Mapping):
        return dict(value)
    if isinstance(value, Sequence):
        return list(value)
    raise TypeError(f"{type(value).__name__} has no form in JSON")


#: In place of a field's name: the value is the whole body.
WHOLE_BODY: Final = ""
