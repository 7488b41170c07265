"""The pages and streams of the console, for one server at a time; read-only.

It watches as `tail` does, over the bus: an event costs nothing more while no ladder is open.
"""

import asyncio
from collections.abc import Awaitable, Callable, Mapping, Sequence
from importlib.resources import files
from typing import Any, Final

import msgspec
from fastapi import FastAPI, Response
from starlette.routing import BaseRoute

from ari_proxy.__about__ import __version__
from ari_proxy.admin.checks import problems
from ari_proxy.admin.servers import ServerView
from ari_proxy.bus.base import Bus
from ari_proxy.protocol.ids import ServerId
from ari_proxy.tap.masking import Masking
from ari_proxy.tap.records import TapRecord
from ari_proxy.watch.render.steps import Steps

from .kept_calls import KeptCalls, KeptCallsError
from .stream import EventStream

#: Dialogs that one page shows, the newest.
MAX_DIALOGS: Final = 200
#: Ladders open at once.
MAX_STREAMS: Final = 10
_PAGES: Final = {
    "": ("index.html", "text/html; charset=utf-8"),
    "/console.js": ("console.js", "text/javascript; charset=utf-8"),
    "/console.css": ("console.css", "text/css; charset=utf-8"),
}
#: Nothing but the page's own files, and in no frame (W3C, Content Security Policy 3).
_HEADERS: Final = {
    "Content-Security-Policy": "default-src 'none'; script-src 'self'; style-src 'self'; "
    "connect-src 'self'; img-src data:; frame-ancestors 'none'; base-uri 'none'",
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "no-referrer",
    "Cache-Control": "no-store",
}


class Console:
    """An extension of ingest's admin API."""

    def __init__(self, servers: Mapping[str, ServerView], masking: Masking) -> None:
        """Initialise without a reader.

        Args:
            servers: by server_id, the one that is shown first before the others.
            masking: of the messages that are shown.
        """
        self._masking = masking
        self._servers = servers
        self._kept = {name: KeptCalls(ServerId(name)) for name in servers}
        self._streams = 0
        self._closing = asyncio.Event()

    def close(self) -> None:
        """End all streams."""
        self._closing.set()

    def application(self, routes: Sequence[BaseRoute]) -> FastAPI:
        """Return an application that has `routes`, the pages and the streams."""
        app = FastAPI(
            title="ari-proxy", docs_url=None, redoc_url=None, openapi_url=None, routes=[*routes]
        )
        for path, page in _PAGES.items():
            app.add_api_route(f"/console{path}", _serving(*page), methods=["GET"])
        app.add_api_route("/console/state", self._state, methods=["GET"])
        app.add_api_route("/console/ended", self._ended, methods=["GET"])
        app.add_api_route("/console/ladder", self._ladder, methods=["GET"])
        app.add_api_route("/console/copies", self._copies, methods=["GET"], response_model=None)
        return app

    async def _state(self, find: str = "", server: str = "") -> Response:
        """Return a server's state and its newest dialogs that match `find`.

        Of a server that is not here: 404 with the same, which lists those that are.
        """
        name = server or next(iter(self._servers))
        view, checks = None, {"console": f"no server {name!r} is served here"}
        if (shown := self._servers.get(name)) is not None:
            failed = await problems(shown.checks)
            view, checks = shown.view, {check: failed.get(check, "ok") for check in shown.checks}
        none: tuple[list[dict[str, Any]], int, int] = [], 0, 0
        dialogs, found, total = view.newest(find, MAX_DIALOGS) if view else none
        state = {
            "server_id": name,
            "servers": [*self._servers],
            "version": __version__,
            "checks": checks,
            "total": total,
            "found": found,
            "dialogs": dialogs,
        }
        return Response(msgspec.json.encode(state), 404 if shown is None else 200, headers=_JSON)

    async def _ended(self, find: str = "", server: str = "") -> Response:
        """Return a server's newest calls that are over and match `find`."""
        name = server or next(iter(self._servers))
        if (bus := self._bus_of(name)) is None:
            return _not_here(name)
        try:
            ended = await self._kept[name].ended(bus, find, MAX_DIALOGS)
        except KeptCallsError as error:
            return Response(str(error), 503, headers=_HEADERS)
        return Response(msgspec.json.encode(ended._asdict()), headers=_JSON)

    async def _ladder(self, dialog: str = "", server: str = "") -> Response:
        """Return the steps that were kept of a dialog."""
        name = server or next(iter(self._servers))
        if (bus := self._bus_of(name)) is None:
            return _not_here(name)
        try:
            drawn = await self._kept[name].ladder(bus, dialog)
        except KeptCallsError as error:
            return Response(str(error), 503, headers=_HEADERS)
        return Response(msgspec.json.encode(drawn), headers=_JSON)

    def _bus_of(self, server: str) -> Bus | None:
        shown = self._servers.get(server)
        return shown.bus if shown is not None else None

    async def _copies(self, dialog: str = "", server: str = "") -> Response:
        """Stream the steps of a dialog until its end."""
        name = server or next(iter(self._servers))
        bus = self._bus_of(name)
        if not dialog or self._streams >= MAX_STREAMS:
            text = f"{MAX_STREAMS} ladders are open already" if dialog else "which dialog?"
            return Response(text, 429 if dialog else 400, headers=_HEADERS)
        if bus is None:
            return _not_here(name)
        return EventStream(
            bus,
            ServerId(name),
            dialog,
            encode=self._encoder(),
            closing=self._closing,
            count=self._count,
            headers=_HEADERS,
        )

    def _encoder(self) -> Callable[[TapRecord], bytes]:
        """Return what makes the rows of one dialog."""
        steps = Steps()
        return lambda record: steps.next_row(self._masking.record(record))

    def _count(self, change: int) -> None:
        self._streams += change


_JSON: Final = {**_HEADERS, "Content-Type": "application/json"}


def _not_here(server: str) -> Response:
    return Response(f"server {server!r} does not run here", 404, headers=_HEADERS)


def _serving(name: str, content_type: str) -> Callable[[], Awaitable[Response]]:
    content = (files(__package__) / "pages" / name).read_bytes()

    async def serve() -> Response:
        return Response(content, headers={**_HEADERS, "Content-Type": content_type})

    return serve
