"""The simulated Asterisk's ARI: the events websocket and REST in front of the exchange."""

import asyncio
import json
from collections.abc import Callable, Mapping
from contextlib import suppress
from typing import Any

import aiohttp
from aiohttp import web

from ari_proxy.ari import operations

from . import checks
from .call_routes import BridgeRoutes, ChannelRoutes
from .exchange import Exchange
from .media_routes import MediaRoutes
from .model import ENTITY_ID, SimulatedRefusalError, now
from .requests import NO_CONTENT, Handler, Route, decode_path, message, parameters


class _StoppedError(Exception):
    """Cancels the tasks of open calls."""


class Simulator:
    """The REST interface and the websockets of one exchange."""

    def __init__(self, tasks: asyncio.TaskGroup, *, user: str, password: str) -> None:
        self._authorization = aiohttp.encode_basic_auth(user, password)
        self._api_key = f"{user}:{password}"
        self._sockets: dict[str, web.WebSocketResponse] = {}
        #: Method and template of each operation that it has.
        self._simulated: set[tuple[str, str]] = set()
        self.exchange = Exchange(tasks, self._emit)

    def application(self) -> web.Application:
        """Return the web application that serves `/ari`."""

        @web.middleware
        async def guard(request: web.Request, handler: Handler) -> web.StreamResponse:
            return await self._guard(request, handler)

        app = web.Application(middlewares=[guard])
        parts = (
            ChannelRoutes(self.exchange),
            BridgeRoutes(self.exchange),
            MediaRoutes(self.exchange.media),
        )
        routes = [*self._routes(), *(route for part in parts for route in part.routes())]
        for method, path, handler in routes:
            app.router.add_route(method, "/ari" + path, handler)
            self._simulated.add((method, operations.template_of(path)))
        return app

    async def _guard(self, request: web.Request, handler: Handler) -> web.StreamResponse:
        given = request.headers.get("Authorization")
        if given != self._authorization and request.query.get("api_key") != self._api_key:
            return message(401, "Authentication required")
        path = request.rel_url.raw_path.removeprefix("/ari")
        template = operations.template_of(path)
        try:
            checks.refuse_unknown(request.method, path, template)
            if (request.method, template) not in self._simulated:
                return message(501, f"{request.method} {template} is not simulated")
            decode_path(request)
            await self._check(request, template)
            return await handler(request)
        except SimulatedRefusalError as refusal:
            return web.json_response({refusal.field: str(refusal)}, status=refusal.status)
        except web.HTTPNotFound:
            return message(404, "Resource not found")
        except web.HTTPMethodNotAllowed:
            return message(405, "Invalid method")

    async def _check(self, request: web.Request, template: str) -> None:
        """Return if Asterisk would execute it: some parameters are looked at before its object."""
        if template == "/events":
            return
        asked = await parameters(request)
        checks.refuse_wrong(request.method, template, asked, is_found=False)
        self._look_up(request.method, template, request.match_info)
        checks.refuse_wrong(request.method, template, asked, is_found=True)

    def _look_up(self, method: str, template: str, names: Mapping[str, str]) -> None:
        """Find the object that a path names, unless it is a new one."""
        if method == "POST" and template in {"/channels/{channelId}", "/bridges/{bridgeId}"}:
            return
        if "channel" in names:
            self.exchange.channel(names["channel"])
        if "bridge" in names:
            self.exchange.bridge(names["bridge"])
        if template.startswith("/recordings/stored/"):
            self.exchange.media.stored_recording(names["recording"])

    # Events

    async def _events(self, request: web.Request) -> web.StreamResponse:
        socket = web.WebSocketResponse(protocols=("ari",))
        await socket.prepare(request)
        names = (await parameters(request))["app"].split(",")
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
        event = {"type": event_type, "timestamp": now(), **fields}
        told = event | {"asterisk_id": ENTITY_ID, "application": app}
        # Without white space, as Asterisk writes it.
        await socket.send_str(json.dumps(told, separators=(",", ":")))

    # The server

    def _routes(self) -> list[Route]:
        return [
            ("GET", "/events", self._events),
            ("GET", "/asterisk/ping", self._ping),
            ("GET", "/asterisk/info", self._info),
            ("GET", "/applications/{name}", self._application),
            ("POST", "/events/user/{event}", self._user_event),
        ]

    async def _user_event(self, request: web.Request) -> web.Response:
        given = await parameters(request)
        app, name = given.get("application", ""), request.match_info["event"]
        if app not in self._sockets:
            return message(404, "Application not found")
        await self._emit(app, "ChannelUserevent", eventname=name, userevent={"eventname": name})
        return web.Response(status=NO_CONTENT)

    async def _ping(self, _: web.Request) -> web.Response:
        shown = {"asterisk_id": ENTITY_ID, "ping": "pong", "timestamp": now()}
        return web.json_response(shown)

    async def _info(self, _: web.Request) -> web.Response:
        return web.json_response({"system": {"version": "22.0.0", "entity_id": ENTITY_ID}})

    async def _application(self, request: web.Request) -> web.Response:
        name = request.match_info["name"]
        if name not in self._sockets:
            return message(404, "Application not found")
        objects = ("channel_ids", "bridge_ids", "endpoint_ids", "device_names")
        lists = (*objects, "events_allowed", "events_disallowed")
        return web.json_response({"name": name} | {key: [] for key in lists})


async def serve(
    stop: asyncio.Event,
    *,
    port: int,
    user: str,
    password: str,
    listening: Callable[[int], None] = lambda _: None,
) -> None:
    """Serve on 127.0.0.1 until `stop`; call `listening` with the port once it is open."""
    try:
        async with asyncio.TaskGroup() as calls:
            simulator = Simulator(calls, user=user, password=password)
            runner = web.AppRunner(simulator.application(), shutdown_timeout=1)
            await runner.setup()
            await web.TCPSite(runner, "127.0.0.1", port).start()
            listening(runner.addresses[0][1])
            try:
                await stop.wait()
            finally:
                await runner.cleanup()
            raise _StoppedError
    except* _StoppedError:
        pass
