"""The simulated Asterisk's ARI: the events websocket and REST in front of the exchange."""

import asyncio
import json
from collections.abc import Awaitable, Callable
from contextlib import suppress
from typing import Any, Final

import aiohttp
from aiohttp import web

from .exchange import Exchange, RefusedError
from .model import ENTITY_ID, Recording, now

_Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]
#: Operations on a channel that change nothing that ARI shows.
_ACCEPTED: Final = ("answer", "ring", "progress", "dtmf", "mute", "hold", "moh", "silence")
_NO_CONTENT: Final = 204


class _StoppedError(Exception):
    """Ends the calls under way."""


class Simulator:
    """The REST interface and the websockets of one exchange."""

    def __init__(self, tasks: asyncio.TaskGroup, *, user: str, password: str) -> None:
        self._authorization = aiohttp.encode_basic_auth(user, password)
        self._api_key = f"{user}:{password}"
        self._sockets: dict[str, web.WebSocketResponse] = {}
        self.exchange = Exchange(tasks, self._emit)

    def application(self) -> web.Application:
        """Return the web application that serves `/ari`."""

        @web.middleware
        async def guard(request: web.Request, handler: _Handler) -> web.StreamResponse:
            return await self._guard(request, handler)

        app = web.Application(middlewares=[guard])
        routes = [*self._server_routes(), *self._channel_routes(), *self._bridge_routes()]
        for method, path, handler in (*routes, *self._media_routes()):
            app.router.add_route(method, "/ari" + path, handler)
        return app

    async def _guard(self, request: web.Request, handler: _Handler) -> web.StreamResponse:
        given = request.headers.get("Authorization")
        if given != self._authorization and request.query.get("api_key") != self._api_key:
            return _message(401, "Authentication required")
        try:
            return await handler(request)
        except RefusedError as refusal:
            return _message(refusal.status, str(refusal))
        except web.HTTPNotFound:
            return _message(404, "Resource not found")
        except web.HTTPMethodNotAllowed:
            return _message(405, "Invalid method")

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
            with suppress(ConnectionError):  # It went away meanwhile.
                await self._send(socket, app, event_type, fields)

    @staticmethod
    async def _send(
        socket: web.WebSocketResponse, app: str, event_type: str, fields: dict[str, Any]
    ) -> None:
        event = {"type": event_type, "timestamp": now(), **fields}
        await socket.send_str(json.dumps(event | {"asterisk_id": ENTITY_ID, "application": app}))

    # The server

    def _server_routes(self) -> list[tuple[str, str, _Handler]]:
        return [
            ("GET", "/events", self._events),
            ("GET", "/asterisk/ping", self._ping),
            ("GET", "/asterisk/info", self._info),
            ("GET", "/applications/{name}", self._application),
        ]

    async def _ping(self, _: web.Request) -> web.Response:
        shown = {"asterisk_id": ENTITY_ID, "ping": "pong", "timestamp": now()}
        return web.json_response(shown)

    async def _info(self, _: web.Request) -> web.Response:
        return web.json_response({"system": {"version": "22.0.0", "entity_id": ENTITY_ID}})

    async def _application(self, request: web.Request) -> web.Response:
        name = request.match_info["name"]
        if name not in self._sockets:
            return _message(404, "Application not found")
        objects = ("channel_ids", "bridge_ids", "endpoint_ids", "device_names")
        lists = (*objects, "events_allowed", "events_disallowed")
        return web.json_response({"name": name} | {key: [] for key in lists})

    # Channels

    def _channel_routes(self) -> list[tuple[str, str, _Handler]]:
        channel = "/channels/{channel}"
        return [
            ("GET", "/channels", self._list_channels),
            ("POST", "/channels", self._originate),
            ("POST", "/channels/create", self._create),
            ("GET", channel, self._get_channel),
            ("POST", channel, self._originate),
            ("DELETE", channel, self._hang_up),
            ("POST", channel + "/dial", self._dial),
            ("POST", channel + "/continue", self._continue),
            ("GET", channel + "/variable", self._get_variable),
            ("POST", channel + "/variable", self._set_variable),
            ("GET", channel + "/rtp_statistics", self._rtp_statistics),
            *(("POST", f"{channel}/{name}", self._accept) for name in _ACCEPTED),
            *(("DELETE", f"{channel}/{name}", self._accept) for name in _ACCEPTED[4:]),
            ("DELETE", channel + "/ring", self._accept),
        ]

    async def _list_channels(self, _: web.Request) -> web.Response:
        return _shown([channel.as_json() for channel in self.exchange.channels.values()])

    async def _get_channel(self, request: web.Request) -> web.Response:
        return _shown(self.exchange.channel(request.match_info["channel"]).as_json())

    async def _originate(self, request: web.Request) -> web.Response:
        name = request.match_info.get("channel", "")
        return _shown(self.exchange.originate(name, await _parameters(request)).as_json())

    async def _create(self, request: web.Request) -> web.Response:
        channel = await self.exchange.create("", await _parameters(request))
        return _shown(channel.as_json())

    async def _dial(self, request: web.Request) -> web.Response:
        self.exchange.dial(request.match_info["channel"], await _parameters(request))
        return web.Response(status=_NO_CONTENT)

    async def _hang_up(self, request: web.Request) -> web.Response:
        await self.exchange.hang_up(request.match_info["channel"])
        return web.Response(status=_NO_CONTENT)

    async def _continue(self, request: web.Request) -> web.Response:
        await self.exchange.leave(request.match_info["channel"])
        return web.Response(status=_NO_CONTENT)

    async def _accept(self, request: web.Request) -> web.Response:
        self.exchange.channel(request.match_info["channel"])
        return web.Response(status=_NO_CONTENT)

    async def _rtp_statistics(self, request: web.Request) -> web.Response:
        self.exchange.channel(request.match_info["channel"])
        return _message(403, "Unsupported channel type")

    async def _get_variable(self, request: web.Request) -> web.Response:
        channel = self.exchange.channel(request.match_info["channel"])
        name = request.query.get("variable", "")
        if not name:
            return _message(400, "Variable name is required")
        if name not in channel.variables:
            return _message(404, "Provided variable was not found")
        return _shown({"value": channel.variables[name]})

    async def _set_variable(self, request: web.Request) -> web.Response:
        asked = await _parameters(request)
        await self.exchange.set_variable(
            request.match_info["channel"], asked.get("variable", ""), asked.get("value", "")
        )
        return web.Response(status=_NO_CONTENT)

    # Bridges

    def _bridge_routes(self) -> list[tuple[str, str, _Handler]]:
        bridge = "/bridges/{bridge}"
        return [
            ("GET", "/bridges", self._list_bridges),
            ("POST", "/bridges", self._create_bridge),
            ("GET", bridge, self._get_bridge),
            ("POST", bridge, self._create_bridge),
            ("DELETE", bridge, self._destroy_bridge),
            ("POST", bridge + "/addChannel", self._add_channels),
            ("POST", bridge + "/removeChannel", self._remove_channels),
            ("POST", bridge + "/moh", self._accept_for_bridge),
            ("DELETE", bridge + "/moh", self._accept_for_bridge),
        ]

    async def _list_bridges(self, _: web.Request) -> web.Response:
        return _shown([bridge.as_json() for bridge in self.exchange.bridges.values()])

    async def _create_bridge(self, request: web.Request) -> web.Response:
        name = request.match_info.get("bridge", "")
        return _shown(self.exchange.create_bridge(name, await _parameters(request)).as_json())

    async def _get_bridge(self, request: web.Request) -> web.Response:
        return _shown(self.exchange.bridge(request.match_info["bridge"]).as_json())

    async def _destroy_bridge(self, request: web.Request) -> web.Response:
        await self.exchange.destroy_bridge(request.match_info["bridge"])
        return web.Response(status=_NO_CONTENT)

    async def _add_channels(self, request: web.Request) -> web.Response:
        names = (await _parameters(request)).get("channel", "").split(",")
        await self.exchange.add_channels(request.match_info["bridge"], names)
        return web.Response(status=_NO_CONTENT)

    async def _remove_channels(self, request: web.Request) -> web.Response:
        names = (await _parameters(request)).get("channel", "").split(",")
        await self.exchange.remove_channels(request.match_info["bridge"], names)
        return web.Response(status=_NO_CONTENT)

    async def _accept_for_bridge(self, request: web.Request) -> web.Response:
        self.exchange.bridge(request.match_info["bridge"])
        return web.Response(status=_NO_CONTENT)

    # Playbacks and recordings

    def _media_routes(self) -> list[tuple[str, str, _Handler]]:
        live, stored = "/recordings/live/{recording}", "/recordings/stored/{recording}"
        targets = ("/channels/{channel}", "/bridges/{bridge}")
        return [
            *(("POST", target + "/play", self._play) for target in targets),
            *(("POST", target + "/play/{playback}", self._play) for target in targets),
            *(("POST", target + "/record", self._record) for target in targets),
            ("GET", "/playbacks/{playback}", self._get_playback),
            ("DELETE", "/playbacks/{playback}", self._stop_playback),
            ("POST", "/playbacks/{playback}/control", self._control_playback),
            ("GET", live, self._get_recording),
            ("POST", live + "/stop", self._stop_recording),
            *(("POST", f"{live}/{name}", self._accept_for_recording) for name in ("pause", "mute")),
            *(
                ("DELETE", f"{live}/{name}", self._accept_for_recording)
                for name in ("pause", "mute")
            ),
            ("GET", "/recordings/stored", self._list_stored),
            ("GET", stored, self._get_stored),
            ("DELETE", stored, self._delete_stored),
            ("POST", stored + "/copy", self._copy_stored),
        ]

    async def _play(self, request: web.Request) -> web.Response:
        name = request.match_info.get("playback", "")
        playback = self.exchange.play(_target(request), name, await _parameters(request))
        return _shown(playback.as_json(), status=201)

    async def _get_playback(self, request: web.Request) -> web.Response:
        return _shown(self.exchange.playback(request.match_info["playback"]).as_json())

    async def _stop_playback(self, request: web.Request) -> web.Response:
        await self.exchange.control_playback(request.match_info["playback"], "stop")
        return web.Response(status=_NO_CONTENT)

    async def _control_playback(self, request: web.Request) -> web.Response:
        operation = (await _parameters(request)).get("operation", "")
        await self.exchange.control_playback(request.match_info["playback"], operation)
        return web.Response(status=_NO_CONTENT)

    async def _record(self, request: web.Request) -> web.Response:
        recording = self.exchange.record(_target(request), await _parameters(request))
        return _shown(recording.as_json(), status=201)

    async def _get_recording(self, request: web.Request) -> web.Response:
        return _shown(self.exchange.recording(request.match_info["recording"]).as_json())

    async def _stop_recording(self, request: web.Request) -> web.Response:
        await self.exchange.stop_recording(request.match_info["recording"])
        return web.Response(status=_NO_CONTENT)

    async def _accept_for_recording(self, request: web.Request) -> web.Response:
        self.exchange.recording(request.match_info["recording"])
        return web.Response(status=_NO_CONTENT)

    async def _list_stored(self, _: web.Request) -> web.Response:
        return _shown([recording.as_stored() for recording in self.exchange.stored.values()])

    async def _get_stored(self, request: web.Request) -> web.Response:
        recording = self.exchange.stored_recording(request.match_info["recording"])
        return _shown(recording.as_stored())

    async def _delete_stored(self, request: web.Request) -> web.Response:
        del self.exchange.stored[
            self.exchange.stored_recording(request.match_info["recording"]).name
        ]
        return web.Response(status=_NO_CONTENT)

    async def _copy_stored(self, request: web.Request) -> web.Response:
        original = self.exchange.stored_recording(request.match_info["recording"])
        name = (await _parameters(request)).get("destinationRecordingName", "")
        copy = Recording(name=name, target="", app="", format=original.format, state="done")
        self.exchange.stored[name] = copy
        return _shown(copy.as_stored())


def _target(request: web.Request) -> str:
    kind = "channel" if "channel" in request.match_info else "bridge"
    return f"{kind}:{request.match_info[kind]}"


def _shown(content: Any, status: int = 200) -> web.Response:
    return web.json_response(content, status=status)


def _message(status: int, text: str) -> web.Response:
    return web.json_response({"message": text}, status=status)


async def _parameters(request: web.Request) -> dict[str, str]:
    """Return the parameters of the query and of a JSON body; the body's win, as in Asterisk."""
    found = dict(request.query)
    body = await request.text()
    if body:
        with suppress(ValueError, AttributeError):
            found |= {key: str(value) for key, value in json.loads(body).items()}
    return found


async def serve(
    stop: asyncio.Event,
    *,
    port: int,
    user: str,
    password: str,
    listening: Callable[[int], None] = lambda _: None,
) -> None:
    """Serve on 127.0.0.1 until `stop`; tells the port once it listens."""
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
