"""The simulated Asterisk's HTTP server: the events websocket, and what carries REST."""

import asyncio
from collections.abc import Callable
from contextlib import suppress
from typing import Any, Final

import aiohttp
from aiohttp import web

from ari_proxy import accepting
from ari_proxy.ari.client import Answer

from .ari import SimulatedAri
from .exchange import Exchange
from .model import event_text
from .requests import message

_BACKLOG: Final = 128


class _StoppedError(Exception):
    """Cancels the tasks of open calls."""


class Simulator:
    """The REST interface and the websockets of one exchange."""

    def __init__(self, tasks: asyncio.TaskGroup, *, user: str, password: str) -> None:
        self._authorization = aiohttp.encode_basic_auth(user, password)
        self._api_key = f"{user}:{password}"
        self._sockets: dict[str, web.WebSocketResponse] = {}
        self.exchange = Exchange(tasks, self._emit)
        self.ari = SimulatedAri(self.exchange, self._emit, self._sockets)

    def application(self) -> web.Application:
        """Return the web application that serves `/ari`."""
        app = web.Application()
        # Not `.*`: a name may have a line feed.
        app.router.add_route("*", r"/{path:[\s\S]*}", self._serve)
        return app

    async def _serve(self, request: web.Request) -> web.StreamResponse:
        given = request.headers.get("Authorization")
        if given != self._authorization and request.query.get("api_key") != self._api_key:
            return _response(message(401, "Authentication required"))
        method, url = request.method, request.rel_url.raw_path_qs
        if not url.startswith("/ari/"):
            return _response(message(404, "Resource not found"))
        if method == "GET" and request.path == "/ari/events":
            return await self._events(request)
        answer = await self.ari.request(method, url.removeprefix("/ari"), await request.text())
        return _response(answer)

    # Events

    async def _events(self, request: web.Request) -> web.StreamResponse:
        socket = web.WebSocketResponse(protocols=("ari",))
        await socket.prepare(request)
        names = request.query["app"].split(",")
        for name in names:
            former = self._sockets.get(name)
            self._sockets[name] = socket
            if former is not None:
                await self._send(former, name, "ApplicationReplaced", {})
        async for _ in socket:
            pass
        for name in names:
            if self._sockets.get(name) is socket:
                del self._sockets[name]
        return socket

    async def _emit(self, app: str, event_type: str, **fields: Any) -> None:
        socket = self._sockets.get(app)
        if socket is not None and not socket.closed:
            with suppress(ConnectionError):  # The client has disconnected.
                await self._send(socket, app, event_type, fields)

    @staticmethod
    async def _send(
        socket: web.WebSocketResponse, app: str, event_type: str, fields: dict[str, Any]
    ) -> None:
        await socket.send_str(event_text(app, event_type, fields))


def _response(answer: Answer) -> web.Response:
    if not answer.body:
        return web.Response(status=answer.status)
    return web.json_response(text=answer.body, status=answer.status)


async def serve(
    stop: asyncio.Event,
    *,
    port: int,
    user: str,
    password: str,
    listening: Callable[[int], None] = lambda _: None,
) -> None:
    """Serve on this machine until `stop`; call `listening` with the port once it is open."""
    try:
        async with asyncio.TaskGroup() as calls:
            simulator = Simulator(calls, user=user, password=password)
            runner = web.AppRunner(simulator.application(), shutdown_timeout=1)
            await runner.setup()
            for bound in await accepting.listen("localhost", port, backlog=_BACKLOG):
                await web.SockSite(runner, bound).start()
            listening(runner.addresses[0][1])
            try:
                await stop.wait()
            finally:
                await runner.cleanup()
            raise _StoppedError
    except* _StoppedError:
        pass
