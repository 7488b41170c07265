"""Parsing of requests and building of responses for the simulated Asterisk."""

import json
from collections.abc import Awaitable, Callable
from contextlib import suppress
from typing import Any, Final

from aiohttp import web

from ari_proxy.ari import decoding

Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]
#: Method, path below `/ari`, and handler.
Route = tuple[str, str, Handler]
NO_CONTENT: Final = 204
#: Parameters with numeric values.
_NUMBERS: Final = frozenset({"maxDurationSeconds", "timeout"})


def target(request: web.Request) -> str:
    """Return the channel or bridge in the path, like `channel:1.2`."""
    kind = "channel" if "channel" in request.match_info else "bridge"
    return f"{kind}:{request.match_info[kind]}"


def shown(content: Any, status: int = 200) -> web.Response:
    """Return a JSON response."""
    return web.json_response(content, status=status)


def message(status: int, text: str) -> web.Response:
    """Return an error response in Asterisk's shape."""
    return web.json_response({"message": text}, status=status)


def decode_path(request: web.Request) -> None:
    """Decode the variables in the path the way Asterisk does."""
    resource = request.match_info.route.resource
    if resource is None:
        return
    wanted, given = resource.canonical.split("/"), request.rel_url.raw_path.split("/")
    for name, segment in zip(wanted, given, strict=True):
        if name.startswith("{"):
            request.match_info[name[1:-1]] = decoding.decode(segment)


async def parameters(request: web.Request) -> dict[str, str]:
    """Return the parameters of the query and the JSON body; the body wins, as in Asterisk."""
    found = dict(decoding.parameters(request.rel_url.raw_query_string))
    body = await request.text()
    if body:
        with suppress(ValueError, RecursionError, AttributeError):
            found |= {name: _text(name, value) for name, value in json.loads(body).items()}
    return found


def _text(name: str, value: Any) -> str:
    """Return a body's field as Asterisk reads it: non-strings count as '' where it wants text."""
    if isinstance(value, list):
        return ",".join(f'"{entry}"' for entry in value if isinstance(entry, str))
    is_number = isinstance(value, int) and name in _NUMBERS
    return f"{value}" if isinstance(value, str) or is_number else ""
