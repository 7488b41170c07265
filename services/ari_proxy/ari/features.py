"""What newer Asterisks have in ARI, and which of it one Asterisk says that it has. Sans-I/O."""

from collections.abc import Iterable
from typing import Final, NamedTuple

import msgspec

from ari_proxy.protocol.malformed import UNDECODABLE

from .feature_table import NEWER
from .versions import Since


class Feature(NamedTuple):
    """An operation, or a parameter of one."""

    #: The client's method, like `events.claim` or `channels.set_variable(report_events)`.
    name: str
    method: str
    path: str
    #: The parameter, or ''.
    parameter: str
    since: Since


FEATURES: Final = tuple(Feature(name, *feature) for name, feature in NEWER.items())
#: The parts of Asterisk's description that have them: `channels`, for instance.
RESOURCES: Final = tuple(sorted({feature.path.split("/")[1] for feature in FEATURES}))


class _Parameter(msgspec.Struct):
    name: str


class _Operation(msgspec.Struct, rename="camel"):
    http_method: str
    parameters: list[_Parameter] = []


class _Api(msgspec.Struct):
    path: str
    operations: list[_Operation]


class _Resource(msgspec.Struct):
    apis: list[_Api]


def described(descriptions: Iterable[str]) -> tuple[Feature, ...]:
    """Return the features that Asterisk's own description has.

    Args:
        descriptions: the answers to `GET /api-docs/channels.json` and others; what is none counts
            as empty.
    """
    found: set[tuple[str, str, str]] = set()
    for text in descriptions:
        found |= _named(text)
    return tuple(
        feature
        for feature in FEATURES
        if (feature.method, feature.path, feature.parameter) in found
    )


def _named(text: str) -> set[tuple[str, str, str]]:
    """Return method and path with '', and with each parameter, of a resource's operations."""
    try:
        resource = msgspec.json.decode(text, type=_Resource)
    except UNDECODABLE:
        return set()
    return {
        (operation.http_method, api.path, name)
        for api in resource.apis
        for operation in api.operations
        for name in ("", *(parameter.name for parameter in operation.parameters))
    }
