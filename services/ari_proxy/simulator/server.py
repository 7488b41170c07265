"""A small Asterisk: ARI for channels, bridges, playbacks, recordings and DTMF."""

import asyncio
import json
from collections.abc import Awaitable, Callable
from contextlib import suppress
from typing import Any, Final

import aiohttp
from aiohttp import web

from .model import ENTITY_ID, Bridge, Channel, Playback, Recording, new_id, now

#: Seconds that a sound lasts, and between two digits of the simulated caller.
PLAYBACK_SECONDS: Final = 0.2
DIGIT_SECONDS: Final = 0.05
_Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]
#: Asterisk's text of a request for what is not there.
_NOT_FOUND: Final = {"channel": "Channel not found", "bridge": "Bridge not found"}


class Simulator:
    """The state of the simulated Asterisk, its events and its REST interface."""

    def __init__(self, tasks: asyncio.TaskGroup, *, user: str, password: str) -> None:
        self._tasks = tasks
        self._authorization = aiohttp.encode_basic_auth(user, password)
        self._api_key = f"{user}:{password}"
        self._sockets: dict[str, web.WebSocketResponse] = {}
        self.channels: dict[str, Channel] = {}
        self.bridges: dict[str, Bridge] = {}
        self.playbacks: dict[str, Playback] = {}
        self.recordings: dict[str, Recording] = {}

    def application(self) -> web.Application:
        """Return the web application that serves `/ari`."""

        @web.middleware
        async def authenticate(request: web.Request, handler: _Handler) -> web.StreamResponse:
            return await self._authenticate(request, handler)

        app = web.Application(middlewares=[authenticate])
        routes: list[tuple[str, str, _Handler]] = [
            ("GET", "/events", self._events),
            ("GET", "/asterisk/ping", self._ping),
            ("GET", "/asterisk/info", self._info),
            ("GET", "/applications/{name}", self._application),
            ("GET", "/channels", self._list_channels),
            ("POST", "/channels", self._originate),
            ("GET", "/channels/{channel}", self._get_channel),
            ("POST", "/channels/{channel}", self._originate),
            ("DELETE", "/channels/{channel}", self._hang_up),
            ("POST", "/channels/{channel}/answer", self._answer),
            ("POST", "/channels/{channel}/continue", self._continue),
            ("POST", "/channels/{channel}/play", self._play),
            ("POST", "/channels/{channel}/play/{playback}", self._play),
            ("POST", "/channels/{channel}/record", self._record),
            ("GET", "/channels/{channel}/variable", self._get_variable),
            ("POST", "/channels/{channel}/variable", self._set_variable),
            ("GET", "/bridges", self._list_bridges),
            ("POST", "/bridges", self._create_bridge),
            ("POST", "/bridges/{bridge}", self._create_bridge),
            ("GET", "/bridges/{bridge}", self._get_bridge),
            ("DELETE", "/bridges/{bridge}", self._destroy_bridge),
            ("POST", "/bridges/{bridge}/addChannel", self._add_channel),
            ("POST", "/bridges/{bridge}/removeChannel", self._remove_channel),
            ("POST", "/bridges/{bridge}/play", self._play),
            ("GET", "/playbacks/{playback}", self._get_playback),
            ("DELETE", "/playbacks/{playback}", self._stop_playback),
            ("POST", "/recordings/live/{recording}/stop", self._stop_recording),
        ]
        for action in ("ring", "mute", "hold", "moh", "silence"):
            routes += [
                (method, f"/channels/{{channel}}/{action}", self._accept)
                for method in ("POST", "DELETE")
            ]
        for method, path, handler in routes:
            app.router.add_route(method, "/ari" + path, handler)
        return app

    async def _authenticate(self, request: web.Request, handler: _Handler) -> web.StreamResponse:
        given = request.headers.get("Authorization")
        if given != self._authorization and request.query.get("api_key") != self._api_key:
            return web.json_response({"message": "Authentication required"}, status=401)
        try:
            return await handler(request)
        except web.HTTPNotFound:
            return _message(404, "Resource not found")

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
            await self._send(socket, app, event_type, fields)

    @staticmethod
    async def _send(
        socket: web.WebSocketResponse, app: str, event_type: str, fields: dict[str, Any]
    ) -> None:
        event = {"type": event_type, "timestamp": now(), **fields}
        await socket.send_str(json.dumps(event | {"asterisk_id": ENTITY_ID, "application": app}))

    # The server

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

    async def _accept(self, request: web.Request) -> web.Response:
        if request.match_info["channel"] not in self.channels:
            return _message(404, _NOT_FOUND["channel"])
        return web.Response(status=204)

    # Channels

    async def _list_channels(self, _: web.Request) -> web.Response:
        return web.json_response([channel.as_json() for channel in self.channels.values()])

    async def _get_channel(self, request: web.Request) -> web.Response:
        channel = self.channels.get(request.match_info["channel"])
        if channel is None:
            return _message(404, _NOT_FOUND["channel"])
        return web.json_response(channel.as_json())

    async def _originate(self, request: web.Request) -> web.Response:
        asked = await _parameters(request)
        endpoint, app = asked.get("endpoint", ""), asked.get("app", "")
        if not endpoint:
            return _message(400, "Endpoint must be specified")
        name = request.match_info.get("channel") or asked.get("channelId") or new_id()
        if name in self.channels:
            return _message(409, "Channel with given unique ID already exists")
        _, _, digits = endpoint.partition("/")[2].partition("@")[0].partition("dtmf-")
        channel = Channel(id=name, app=app, digits=digits)
        self.channels[name] = channel
        shown = channel.as_json()
        arguments = asked.get("appArgs", "")
        self._tasks.create_task(self._call(channel, arguments.split(",") if arguments else []))
        return web.json_response(shown)

    async def _call(self, channel: Channel, arguments: list[str]) -> None:
        app = channel.app
        dial = {"dialstring": "simulated@default", "forward": ""}
        await self._emit(app, "Dial", dialstatus="", **dial, peer=channel.as_json())
        channel.state = "Up"
        await self._emit(app, "ChannelStateChange", channel=channel.as_json())
        await self._emit(app, "Dial", dialstatus="ANSWER", **dial, peer=channel.as_json())
        channel.in_stasis = True
        await self._emit(app, "StasisStart", args=arguments, channel=channel.as_json())
        for digit in channel.digits:
            await asyncio.sleep(DIGIT_SECONDS)
            pressed = {"digit": digit, "duration_ms": 100}
            if channel.id in self.channels:
                await self._emit(app, "ChannelDtmfReceived", **pressed, channel=channel.as_json())

    async def _hang_up(self, request: web.Request) -> web.Response:
        channel = self.channels.get(request.match_info["channel"])
        if channel is None:
            return _message(404, _NOT_FOUND["channel"])
        await self._emit(channel.app, "ChannelHangupRequest", channel=channel.as_json())
        await self._leave(channel)
        del self.channels[channel.id]
        cause = {"cause": 16, "cause_txt": "Normal Clearing"}
        await self._emit(channel.app, "ChannelDestroyed", **cause, channel=channel.as_json())
        return web.Response(status=204)

    async def _leave(self, channel: Channel) -> None:
        for playback in tuple(self.playbacks.values()):
            if playback.target == f"channel:{channel.id}":
                await self._finish(playback)
        if channel.bridge:
            await self._leave_bridge(channel)
        if channel.in_stasis:
            channel.in_stasis = False
            await self._emit(channel.app, "StasisEnd", channel=channel.as_json())

    async def _answer(self, request: web.Request) -> web.Response:
        return await self._accept(request)

    async def _continue(self, request: web.Request) -> web.Response:
        channel = self.channels.get(request.match_info["channel"])
        if channel is None:
            return _message(404, _NOT_FOUND["channel"])
        if not channel.in_stasis:
            return _message(409, "Channel not in Stasis application")
        await self._leave(channel)
        return web.Response(status=204)

    async def _get_variable(self, request: web.Request) -> web.Response:
        channel = self.channels.get(request.match_info["channel"])
        if channel is None:
            return _message(404, _NOT_FOUND["channel"])
        name = request.query.get("variable", "")
        if not name:
            return _message(400, "Variable name is required")
        if name not in channel.variables:
            return _message(404, "Provided variable was not found")
        return web.json_response({"value": channel.variables[name]})

    async def _set_variable(self, request: web.Request) -> web.Response:
        channel = self.channels.get(request.match_info["channel"])
        if channel is None:
            return _message(404, _NOT_FOUND["channel"])
        asked = await _parameters(request)
        name, value = asked.get("variable", ""), asked.get("value", "")
        channel.variables[name] = value
        changed = {"variable": name, "value": value}
        await self._emit(channel.app, "ChannelVarset", **changed, channel=channel.as_json())
        return web.Response(status=204)

    # Playbacks and recordings

    async def _play(self, request: web.Request) -> web.Response:
        asked = await _parameters(request)
        target = await self._target(request)
        if isinstance(target, web.Response):
            return target
        uri, app = target
        name = request.match_info.get("playback") or asked.get("playbackId") or new_id()
        playback = Playback(id=name, media=asked.get("media", ""), target=uri, app=app)
        self.playbacks[name] = playback
        self._tasks.create_task(self._run_playback(playback))
        return web.json_response(playback.as_json(), status=201)

    async def _target(self, request: web.Request) -> tuple[str, str] | web.Response:
        if "channel" in request.match_info:
            channel = self.channels.get(request.match_info["channel"])
            if channel is None:
                return _message(404, _NOT_FOUND["channel"])
            if not channel.in_stasis:
                return _message(409, "Channel not in Stasis application")
            return f"channel:{channel.id}", channel.app
        bridge = self.bridges.get(request.match_info["bridge"])
        if bridge is None:
            return _message(404, _NOT_FOUND["bridge"])
        if not bridge.channels:
            return _message(409, "Bridge not in Stasis application")
        return f"bridge:{bridge.id}", self.channels[bridge.channels[0]].app

    async def _run_playback(self, playback: Playback) -> None:
        playback.state = "playing"
        await self._emit(playback.app, "PlaybackStarted", playback=playback.as_json())
        await asyncio.sleep(PLAYBACK_SECONDS)
        await self._finish(playback)

    async def _finish(self, playback: Playback) -> None:
        if self.playbacks.pop(playback.id, None) is not None:
            playback.state = "done"
            await self._emit(playback.app, "PlaybackFinished", playback=playback.as_json())

    async def _get_playback(self, request: web.Request) -> web.Response:
        playback = self.playbacks.get(request.match_info["playback"])
        if playback is None:
            return _message(404, "Playback not found")
        return web.json_response(playback.as_json())

    async def _stop_playback(self, request: web.Request) -> web.Response:
        playback = self.playbacks.get(request.match_info["playback"])
        if playback is None:
            return _message(404, "Playback not found")
        await self._finish(playback)
        return web.Response(status=204)

    async def _record(self, request: web.Request) -> web.Response:
        asked = await _parameters(request)
        target = await self._target(request)
        if isinstance(target, web.Response):
            return target
        recording = Recording(name=asked.get("name", ""), target=target[0], app=target[1])
        self.recordings[recording.name] = recording
        await self._emit(recording.app, "RecordingStarted", recording=recording.as_json())
        return web.json_response(recording.as_json(), status=201)

    async def _stop_recording(self, request: web.Request) -> web.Response:
        recording = self.recordings.pop(request.match_info["recording"], None)
        if recording is None:
            return _message(404, "Recording not found")
        recording.state = "done"
        await self._emit(recording.app, "RecordingFinished", recording=recording.as_json())
        return web.Response(status=204)

    # Bridges

    async def _list_bridges(self, _: web.Request) -> web.Response:
        return web.json_response([bridge.as_json() for bridge in self.bridges.values()])

    async def _create_bridge(self, request: web.Request) -> web.Response:
        asked = await _parameters(request)
        name = request.match_info.get("bridge") or asked.get("bridgeId") or new_id()
        if name in self.bridges:
            return _message(409, "Bridge with id already exists")
        self.bridges[name] = Bridge(id=name, name=asked.get("name", ""))
        return web.json_response(self.bridges[name].as_json())

    async def _get_bridge(self, request: web.Request) -> web.Response:
        bridge = self.bridges.get(request.match_info["bridge"])
        if bridge is None:
            return _message(404, _NOT_FOUND["bridge"])
        return web.json_response(bridge.as_json())

    async def _add_channel(self, request: web.Request) -> web.Response:
        bridge = self.bridges.get(request.match_info["bridge"])
        if bridge is None:
            return _message(404, _NOT_FOUND["bridge"])
        names = (await _parameters(request)).get("channel", "").split(",")
        if not all(name in self.channels for name in names):
            return _message(400, "Channel not found")
        for name in names:
            channel = self.channels[name]
            channel.bridge = bridge.id
            bridge.channels.append(name)
            entered = {"bridge": bridge.as_json(), "channel": channel.as_json()}
            await self._emit(channel.app, "ChannelEnteredBridge", **entered)
        return web.Response(status=204)

    async def _remove_channel(self, request: web.Request) -> web.Response:
        bridge = self.bridges.get(request.match_info["bridge"])
        if bridge is None:
            return _message(404, _NOT_FOUND["bridge"])
        names = (await _parameters(request)).get("channel", "").split(",")
        if not all(name in bridge.channels for name in names):
            return _message(422, "Channel not in this bridge")
        for name in names:
            await self._leave_bridge(self.channels[name])
        return web.Response(status=204)

    async def _leave_bridge(self, channel: Channel) -> None:
        bridge = self.bridges[channel.bridge]
        channel.bridge = ""
        bridge.channels.remove(channel.id)
        left = {"bridge": bridge.as_json(), "channel": channel.as_json()}
        await self._emit(channel.app, "ChannelLeftBridge", **left)

    async def _destroy_bridge(self, request: web.Request) -> web.Response:
        bridge = self.bridges.get(request.match_info["bridge"])
        if bridge is None:
            return _message(404, _NOT_FOUND["bridge"])
        apps = {self.channels[name].app for name in bridge.channels}
        for name in tuple(bridge.channels):
            await self._leave_bridge(self.channels[name])
        del self.bridges[bridge.id]
        for app in apps:
            await self._emit(app, "BridgeDestroyed", bridge=bridge.as_json())
        return web.Response(status=204)


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
    async with asyncio.TaskGroup() as tasks:
        simulator = Simulator(tasks, user=user, password=password)
        runner = web.AppRunner(simulator.application(), shutdown_timeout=1)
        await runner.setup()
        site = web.TCPSite(runner, "127.0.0.1", port)
        await site.start()
        listening(runner.addresses[0][1])
        await stop.wait()
        await runner.cleanup()
