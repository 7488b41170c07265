"""Which requests Asterisk 22 refuses, before they change anything. Sans-I/O.

Which parameters are required, and which values they may have, is Asterisk's own description
(`parameter_table.py`). How it refuses others, if it does, was seen on a running one:
`tests/integration/test_wrong_requests.py` compares.
"""

from collections.abc import Iterator, Mapping
from typing import Final, NamedTuple

from ari_proxy.ari.operation_table import TEMPLATES
from ari_proxy.ari.operations import OTHER

from .model import SimulatedRefusalError, number
from .parameter_table import CHECKED, Checked


class _Refusal(NamedTuple):
    status: int
    text: str
    #: Whether it looks at the parameter before it looks for the object.
    is_first: bool = False
    field: str = "message"


_ALLOCATION: Final = _Refusal(500, "Allocation failed", field="error")
_PARSING: Final = _Refusal(500, "Error parsing request")

#: By parameter, of all operations; one that is not here is not missed.
_MISSING: Final = {
    "application": _Refusal(400, "Missing parameter application", is_first=True),
    "channel": _Refusal(400, "Missing parameter channel"),
    "destinationRecordingName": _Refusal(400, "Invalid destination recording name"),
    "endpoint": _Refusal(400, "Endpoint must be specified", is_first=True),
    "media": _Refusal(500, "Failed to queue media for playback"),
    "name": _PARSING,
    "operation": _Refusal(400, "Missing operation", is_first=True),
    "states": _Refusal(400, "states must not be empty"),
    "variable": _Refusal(400, "Variable name is required", is_first=True),
    "variables": _Refusal(400, "At least one variable name is required", is_first=True),
}
#: The same for a value that is not one of those allowed, `{}` in the text.
_NOT_ALLOWED: Final = {
    "direction": _Refusal(400, "Invalid direction specified"),
    "ifExists": _Refusal(400, "ifExists invalid"),
    "operation": _Refusal(400, "Invalid operation {}", is_first=True),
    "reason": _Refusal(400, "Invalid reason for hangup reason provided"),
    "terminateOn": _Refusal(400, "terminateOn invalid"),
}
#: The same for a number that is too low.
_TOO_LOW: Final = {
    "maxDurationSeconds": _Refusal(400, "max_duration_seconds cannot be negative", is_first=True),
    "maxSilenceSeconds": _Refusal(400, "max_silence_seconds cannot be negative", is_first=True),
    "offsetms": _Refusal(400, "offsetms cannot be negative"),
    "skipms": _Refusal(400, "skipms cannot be negative"),
}
#: Bridges refuse some of it otherwise, and so does one operation on channels.
_OF_BRIDGES: Final = {
    "maxDurationSeconds": _PARSING,
    "maxSilenceSeconds": _PARSING,
    "media": _ALLOCATION,
    "offsetms": _ALLOCATION,
    "skipms": _ALLOCATION,
}
_OF_REDIRECTING: Final = {
    "endpoint": _Refusal(400, "Required parameter 'endpoint' not provided."),
}
#: It looks at its parameters in an order of its own: `external_media.py`.
_EXTERNAL_MEDIA: Final = ("POST", "/channels/externalMedia")


def refuse_unknown(method: str, path: str, template: str) -> None:
    """Return if ARI has an operation.

    Args:
        method: in upper case.
        path: below ARI's root.
        template: the template that it matches.

    Raises:
        SimulatedRefusalError: there is no such resource, or it has no such method.
    """
    if len(path) > 1 and path.endswith("/"):
        text = f"ARI URLs do not end with a slash. Try /ari{path[:-1]}"
        raise SimulatedRefusalError(404, text)
    if template == OTHER:
        raise SimulatedRefusalError(404, "Resource not found")
    if method not in TEMPLATES[template].split():
        raise SimulatedRefusalError(405, "Invalid method")


def refuse_wrong(method: str, template: str, asked: Mapping[str, str], *, is_found: bool) -> None:
    """Return if Asterisk takes an operation's parameters.

    Args:
        method: in upper case.
        template: of the operation's path.
        asked: the parameters of the query and the body.
        is_found: whether its object is there; without, what is looked at first.

    Raises:
        SimulatedRefusalError: a parameter is missing, or has a wrong value.
    """
    for refusal, value in _refusals(method, template, asked):
        if refusal.is_first or is_found:
            text = refusal.text.format(value)
            raise SimulatedRefusalError(refusal.status, text, field=refusal.field)


def _refusals(
    method: str, template: str, asked: Mapping[str, str]
) -> Iterator[tuple[_Refusal, str]]:
    """Yield how each wrong parameter is refused, with its value."""
    checked = CHECKED.get((method, template))
    if checked is None or (method, template) == _EXTERNAL_MEDIA:
        return
    others = _others(template)
    for name in _missing(checked, asked):
        yield others.get(name, _MISSING[name]), ""
    for name in _not_allowed(checked, asked):
        yield _NOT_ALLOWED[name], asked[name]
    for name in _too_low(checked, asked):
        yield others.get(name, _TOO_LOW[name]), ""


def _others(template: str) -> Mapping[str, _Refusal]:
    """Return how an operation refuses what others refuse in another way."""
    if template.startswith("/bridges/"):
        return _OF_BRIDGES
    return _OF_REDIRECTING if template.endswith("/redirect") else {}


def _missing(checked: Checked, asked: Mapping[str, str]) -> list[str]:
    return [name for name in checked.required if not asked.get(name) and name in _MISSING]


def _not_allowed(checked: Checked, asked: Mapping[str, str]) -> list[str]:
    given = [(name, values) for name, values in checked.values.items() if asked.get(name)]
    return [name for name, values in given if asked[name] not in values and name in _NOT_ALLOWED]


def _too_low(checked: Checked, asked: Mapping[str, str]) -> list[str]:
    given = [(name, minimum) for name, minimum in checked.minimum.items() if name in asked]
    return [name for name, minimum in given if number(asked[name]) < minimum and name in _TOO_LOW]
