"""Wrong requests: the simulator answers each as a running Asterisk 22 does.

They are made from the facts of ARI: of each operation that the simulator has, without one of its
required parameters, and with values that its description does not allow.
"""

import asyncio
import itertools
import json
import re
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from typing import Final, NamedTuple
from urllib.parse import urlencode

import aiohttp
from yarl import URL

from ari_proxy.ari.fatal_parameters import REQUIRED
from ari_proxy.simulator import server
from generator.description import NEWEST, Operation, Parameter, read
from tests.support.running import until
from tests.support.servers import PASSWORD, Asterisk

#: Values of required parameters that both take; `{}` is the name of the scene's object.
VALUES: Final = {
    "endpoint": "Local/answer@default",
    "app": "{app}",
    "application": "{app}",
    "media": "sound:tt-monkeys",
    "name": "{new}",
    "format": "wav",
    "states": "channel_progress",
    "variable": "WRONG",
    "variables": "WRONG",
    "channel": "{channel}",
    "operation": "pause",
    "destinationRecordingName": "{new}",
}
_numbers = itertools.count(1)


def new_name() -> str:
    """Return a new name; all are of one length, since Asterisk refuses one that begins another."""
    return f"wrong-{next(_numbers):06d}"


class Wrong(NamedTuple):
    """One wrong request."""

    operation: Operation
    #: What is wrong about it, like `without media`.
    fault: str
    query: dict[str, str]

    def __str__(self) -> str:
        return f"{self.operation.method} {self.operation.path} {self.fault}"


class Scene:
    """An application of its own at an Asterisk, and the objects of one request."""

    def __init__(self, http: aiohttp.ClientSession, root: str, app: str) -> None:
        self._http = http
        self._root = root
        self.names = {"app": app}
        self._started: set[str] = set()

    async def read(self, socket: aiohttp.ClientWebSocketResponse) -> None:
        async for message in socket:
            event = json.loads(message.data)
            if event["type"] == "StasisStart":
                self._started.add(event["channel"]["id"])

    async def ask(self, method: str, path: str, **query: str) -> tuple[int, str]:
        """Return the status of an answer, and the message of a refusal."""
        url = URL(f"{self._root}{path}?{urlencode(query)}", encoded=True)
        async with self._http.request(method, url) as answer:
            text = await answer.text()
        if answer.status < 400:
            return answer.status, ""
        body = json.loads(text)
        return answer.status, body.get("message", f"{body}")

    async def answer_about_nothing(self, wrong: Wrong) -> tuple[int, str]:
        """Return the answer to a request about objects that are not there."""
        self.names |= {"new": new_name(), "channel": "nothing"}
        path = re.sub(
            r"{(channel|bridge|playback)Id}|{recordingName}", "nothing", wrong.operation.path
        )
        path = path.replace("{eventName}", "wrong")
        given = {name: value.format(**self.names) for name, value in wrong.query.items()}
        return await self.ask(wrong.operation.method, path, **given)

    async def answer(self, wrong: Wrong) -> tuple[int, str]:
        """Make the objects that a request is about, and return the answer to it."""
        self.names["new"] = new_name()
        path = await self._path(wrong.operation)
        if "channel" in wrong.query:
            await self._channel()
        try:
            return await self._ask(wrong, path)
        finally:
            for kind in ("channel", "bridge"):
                if name := self.names.pop(kind, ""):
                    await self.ask("DELETE", f"/{kind}s/{name}")

    async def _ask(self, wrong: Wrong, path: str) -> tuple[int, str]:
        given = {name: value.format(**self.names) for name, value in wrong.query.items()}
        try:
            return await self.ask(wrong.operation.method, path, **given)
        finally:  # Some are taken.
            await self.ask("DELETE", f"/channels/{self.names['new']}")

    async def _path(self, operation: Operation) -> str:
        """Return its path, with objects of their own; the last one of a twin is yet to be made."""
        path = operation.path
        if operation.nickname.endswith("WithId"):
            path, _, _ = path.rpartition("{")
            path += self.names["new"]
        path = path.replace("{applicationName}", self.names["app"]).replace("{eventName}", "wrong")
        if "{channelId}" in path:
            is_dialled = operation.nickname == "dial"
            path = path.replace("{channelId}", await self._channel(is_down=is_dialled))
        if "{bridgeId}" in path:
            path = path.replace("{bridgeId}", await self._bridge())
        if "{playbackId}" in path:
            path = path.replace("{playbackId}", await self._playback())
        if "{recordingName}" in path:
            path = path.replace("{recordingName}", await self._stored_recording())
        return path

    async def _channel(self, *, is_down: bool = False) -> str:
        name = new_name()
        asked = {"endpoint": VALUES["endpoint"], "app": self.names["app"]}
        path, more = ("create", {"channelId": name}) if is_down else (name, {})
        assert (await self.ask("POST", f"/channels/{path}", **asked, **more))[0] == 200
        await until(lambda: name in self._started)
        self.names["channel"] = name
        return name

    async def _bridge(self) -> str:
        name = new_name()
        assert (await self.ask("POST", f"/bridges/{name}"))[0] == 200
        self.names["bridge"] = name
        return name

    async def _playback(self) -> str:
        name = new_name()
        media = ",".join(["sound:tt-monkeys"] * 50)
        played = await self.ask("POST", f"/bridges/{await self._bridge()}/play/{name}", media=media)
        assert played[0] == 201
        return name

    async def _stored_recording(self) -> str:
        name = new_name()
        recorded = f"/channels/{await self._channel()}/record"
        assert (await self.ask("POST", recorded, name=name, format="wav"))[0] == 201
        assert (await self.ask("POST", f"/recordings/live/{name}/stop"))[0] == 204
        return name


@asynccontextmanager
async def scene_at(root: str) -> AsyncIterator[Scene]:
    app = new_name()
    headers = {"Authorization": aiohttp.encode_basic_auth("ari", PASSWORD)}
    async with (
        aiohttp.ClientSession(headers=headers) as http,
        http.ws_connect(f"{root}/events?app={app}") as socket,
        asyncio.TaskGroup() as tasks,
    ):
        scene = Scene(http, root, app)
        reading = tasks.create_task(scene.read(socket))
        yield scene
        reading.cancel()


def wrong_requests() -> Iterator[Wrong]:
    """Yield them, as the facts have them, but for those that crash Asterisk."""
    for _, operation in read(NEWEST).operations():
        if is_simulated(operation):
            yield from of(operation)


def of(operation: Operation) -> Iterator[Wrong]:
    queries = [parameter for parameter in operation.parameters if parameter.place == "query"]
    right = {p.name: VALUES[p.name] for p in queries if p.required}
    if operation.path == "/channels/create":
        right["channelId"] = "{new}"
    for parameter in queries:
        is_fatal = REQUIRED.get((operation.method, operation.path)) == parameter.name
        if parameter.required and not is_fatal:
            without = {name: value for name, value in right.items() if name != parameter.name}
            yield Wrong(operation, f"without {parameter.name}", without)
        yield from (
            Wrong(operation, f"with {parameter.name}={value}", right | {parameter.name: value})
            for value in values_not_allowed(parameter)
        )


def values_not_allowed(parameter: Parameter) -> Iterator[str]:
    if parameter.values:
        yield "sideways"
    if parameter.minimum is not None or parameter.name in {"offsetms", "skipms"}:
        yield "-1"
        yield "some"


def is_simulated(operation: Operation) -> bool:
    path = re.sub(r"{\w+}", "{}", operation.path)
    return (operation.method, path) in SIMULATED and not operation.is_websocket


SIMULATED: Final = {
    (method, re.sub(r"{\w+}", "{}", path))
    for method, path, _ in server.Simulator(asyncio.TaskGroup(), user="", password="").ari.routes
}
#: What ARI does not have at all.
UNKNOWN: Final = (
    ("GET", "/nothing"),
    ("GET", "/channels/"),
    ("GET", "/channels/nothing/nothing"),
    ("GET", "/channels/create"),
    ("DELETE", "/channels/create"),
    ("GET", "/bridges/nothing/addChannel"),
    ("POST", "/playbacks/nothing"),
    ("PUT", "/channels"),
    ("PUT", "/channels/nothing/play"),
    ("PATCH", "/channels"),
    ("DELETE", "/asterisk/info"),
)


async def answers(scene: Scene) -> dict[str, tuple[int, str]]:
    """Return the answer to each wrong request."""
    found = {f"{method} {path}": await scene.ask(method, path) for method, path in UNKNOWN}
    for wrong in wrong_requests():
        found[str(wrong)] = await scene.answer(wrong)
        found[f"{wrong}, of nothing"] = await scene.answer_about_nothing(wrong)
    return found


@asynccontextmanager
async def simulated() -> AsyncIterator[Scene]:
    stop = asyncio.Event()
    listening: asyncio.Future[int] = asyncio.get_running_loop().create_future()
    async with asyncio.TaskGroup() as tasks:
        tasks.create_task(
            server.serve(
                stop, port=0, user="ari", password=PASSWORD, listening=listening.set_result
            )
        )
        try:
            async with scene_at(f"http://127.0.0.1:{await listening}/ari") as scene:
                yield scene
        finally:
            stop.set()


async def test_simulator_refuses_what_asterisk_refuses(asterisk_22: Asterisk) -> None:
    async with scene_at(asterisk_22.url) as scene:
        expected = await answers(scene)
    async with simulated() as scene:
        found = await answers(scene)

    assert len(expected) > 100
    assert found == expected


async def test_operation_that_is_not_simulated_is_called_so() -> None:
    async with simulated() as scene:
        status, text = await scene.ask("POST", "/channels/nothing/move")

    assert (status, text) == (501, "POST /channels/{channelId}/move is not simulated")
