"""Requests to the simulated Asterisk and their answers, whatever carries them."""

import json
from collections.abc import Awaitable, Callable, Iterable, Mapping
from contextlib import suppress
from typing import Any, Final, NamedTuple

from ari_proxy.ari import decoding
from ari_proxy.ari.client import Answer


class Request(NamedTuple):
    """A request, decoded the way Asterisk does."""

    #: The variables of the path, like `channel`.
    names: Mapping[str, str]
    #: Of the query and the body.
    parameters: Mapping[str, str]

    @property
    def target(self) -> str:
        """The channel or bridge in the path, like `channel:1.2`."""
        kind = "channel" if "channel" in self.names else "bridge"
        return f"{kind}:{self.names[kind]}"


Handler = Callable[[Request], Awaitable[Answer]]
#: Method, path below `/ari`, and handler.
Route = tuple[str, str, Handler]
NO_CONTENT: Final = Answer(204, "")
#: The parameter with variables of a new channel.
VARIABLES: Final = "variables"
#: Parameters with numeric values.
_NUMBERS: Final = frozenset({"maxDurationSeconds", "timeout"})


class Routes:
    """Finds the handler of a request."""

    def __init__(self, routes: Iterable[Route]) -> None:
        """Take the routes; of two whose paths match, the first one is meant."""
        self._routes = [(method, _segments(path), handler) for method, path, handler in routes]

    def find(self, method: str, path: str) -> tuple[Handler, Mapping[str, str]] | None:
        """Return the handler of an operation and the variables of its path; None without one."""
        given = _segments(path)
        for allowed, wanted, handler in self._routes:
            if allowed == method and _matches(wanted, given):
                return handler, _names(wanted, given)
        return None


def _segments(path: str) -> list[str]:
    return path.split("/")


def _matches(wanted: list[str], given: list[str]) -> bool:
    return len(wanted) == len(given) and all(
        bool(segment) if name.startswith("{") else name == segment
        for name, segment in zip(wanted, given, strict=True)
    )


def _names(wanted: list[str], given: list[str]) -> dict[str, str]:
    return {
        name.strip("{}"): decoding.decode(segment)
        for name, segment in zip(wanted, given, strict=True)
        if name.startswith("{")
    }


def shown(content: Any, status: int = 200) -> Answer:
    """Return a JSON answer."""
    return Answer(status, json.dumps(content))


def message(status: int, text: str) -> Answer:
    """Return an error answer in Asterisk's shape."""
    return shown({"message": text}, status)


def parameters(query: str, body: str) -> dict[str, str]:
    """Return the parameters of the query and the JSON body; the body wins, as in Asterisk."""
    found = dict(decoding.parameters(query))
    if body:
        with suppress(ValueError, RecursionError, AttributeError):
            found |= {name: _text(name, value) for name, value in json.loads(body).items()}
    return found


def variables(asked: Mapping[str, str]) -> dict[str, str]:
    """Return the variables of a new channel: each value is a text, or an object that has one."""
    try:
        found = json.loads(asked.get(VARIABLES, "")).items()
    except (ValueError, RecursionError, AttributeError):
        return {}
    texts = {
        name: value.get("value") if isinstance(value, dict) else value for name, value in found
    }
    return {name: value for name, value in texts.items() if isinstance(value, str)}


def _text(name: str, value: Any) -> str:
    """Return a body's field as Asterisk reads it: non-strings count as '' where it wants text.

    Variables, an object in the body alone, stay JSON.
    """
    if name == VARIABLES and isinstance(value, dict):
        return json.dumps(value)
    if isinstance(value, list):
        return ",".join(f'"{entry}"' for entry in value if isinstance(entry, str))
    is_number = isinstance(value, int) and name in _NUMBERS
    return f"{value}" if isinstance(value, str) or is_number else ""
