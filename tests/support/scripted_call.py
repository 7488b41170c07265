"""A call whose commands a test answers, and whose events it sends."""

import asyncio
import json
from collections.abc import Callable
from typing import Any, Final, NamedTuple
from urllib.parse import parse_qsl, urlsplit

from ari_proxy.bus.base import Handler, Message, SubscriptionHandle
from ari_proxy.client.ari.model import Event
from ari_proxy.client.call import Call
from ari_proxy.protocol.messages import AppStart
from tests.support.application import DIALOG, until
from tests.support.client_events import channel, event


class Request(NamedTuple):
    """A command of the call."""

    method: str
    path: str
    parameters: dict[str, str]

    @property
    def name(self) -> str:
        return f"{self.method} {self.path}"


class Answer(NamedTuple):
    """What Asterisk answers."""

    status: int = 204
    body: Any = None


#: No answer at all.
SILENCE: Final = Answer(0)
#: What an answer is made from: the request.
Script = Callable[[Request], Answer]


class ScriptedCall:
    """What a bus is to a call: takes its commands, and brings answers and events.

    A request is answered at once, by the first script that has its method and the beginning of its
    path; else with what Asterisk answers as a rule.
    """

    def __init__(self) -> None:
        self.call = Call(self, AppStart("demo", DIALOG, "server-1", channel_id="c"))
        self.requests: list[Request] = []
        self._scripts: dict[str, Script] = {}
        self._sequence = 0

    # What a call needs of a bus

    def publish(self, topic: str, payload: bytes, *, reply: str = "", once: bool = False) -> None:
        del topic, reply, once
        commands = json.loads(payload)
        for command in commands if isinstance(commands, list) else [commands]:
            self._execute(command)

    def _execute(self, command: dict[str, str]) -> None:
        url = urlsplit(command["url"])
        body = json.loads(command["body"] or "{}")
        request = Request(command["method"], url.path, dict(parse_qsl(url.query)) | body)
        self.requests.append(request)
        answer = self._answer(request)
        if answer is not SILENCE:
            text = "" if answer.body is None else json.dumps(answer.body)
            self._respond(command["unique_id"], answer.status, text)

    async def subscribe(
        self, topic: str, handler: Handler, *, group: str = ""
    ) -> SubscriptionHandle:
        raise NotImplementedError

    def _answer(self, request: Request) -> Answer:
        for name, script in self._scripts.items():
            if request.name.startswith(name):
                return script(request)
        return _usual(request)

    def _respond(self, unique_id: str, status: int, body: str) -> None:
        response = {"unique_id": unique_id, "status_code": status, "response_body": body}
        message = Message("responses", json.dumps(response).encode())
        asyncio.get_running_loop().call_soon(self.call.take_response, message)

    # What a test does

    def answer(self, request: str, status: int = 204, body: Any = None) -> None:
        """Answer requests that begin like `POST /channels/c/play` so from now on."""
        self._scripts = {request: lambda _: Answer(status, body), **self._scripts}

    def answer_with(self, request: str, answer: Callable[[Request], tuple[int, Any]]) -> None:
        """Answer requests that begin so with a status and a body of a test's making."""
        self._scripts = {request: lambda asked: Answer(*answer(asked)), **self._scripts}

    def ignore(self, request: str) -> None:
        """Never answer requests that begin so."""
        self._scripts = {request: lambda _: SILENCE, **self._scripts}

    def on(self, request: str, then: Callable[[Request], None]) -> None:
        """Do something when a request comes, before it is answered as ever."""

        def script(request: Request) -> Answer:
            then(request)
            return _usual(request)

        self._scripts = {request: script, **self._scripts}

    def send(self, sent: Event) -> None:
        """Have an event arrive."""
        self._sequence += 1
        message = {
            "server_id": "server-1",
            "timestamp": "",
            "type": sent.type,
            "ari_body": sent.raw,
            "dialog_id": DIALOG,
            "sequence": self._sequence,
        }
        self.call.take_event(Message("events", json.dumps(message).encode()))

    def press(self, digits: str) -> None:
        """Have the caller press digits."""
        for digit in digits:
            self.send(
                event("ChannelDtmfReceived", digit=digit, duration_ms=100, channel=channel("c"))
            )

    def hang_up(self) -> None:
        """Have the caller hang up."""
        self.send(event("ChannelHangupRequest", cause=16, channel=channel("c")))
        self.send(event("StasisEnd", channel=channel("c")))

    @property
    def names(self) -> list[str]:
        """All requests, like `POST /channels/c/answer`."""
        return [request.name for request in self.requests]

    async def requested(self, name: str, count: int = 1) -> Request:
        """Wait for a number of requests that begin so; return the last one."""

        def found() -> list[Request]:
            return [request for request in self.requests if request.name.startswith(name)]

        await until(lambda: len(found()) >= count)
        return found()[count - 1]


def _usual(request: Request) -> Answer:
    if request.path.endswith("/play"):
        return Answer(201, _playback(request))
    if request.path.endswith("/record"):
        name = request.parameters["name"]
        shown = {"name": name, "format": "wav", "target_uri": "channel:c", "state": "queued"}
        return Answer(201, shown)
    if request.name in {"POST /channels", "POST /channels/create"}:
        return Answer(200, channel(request.parameters["channelId"], "Down"))
    if request.name == "POST /channels/externalMedia":
        return Answer(200, channel(request.parameters["channelId"], "Down"))
    if request.path.endswith("/snoop"):
        return Answer(200, channel(request.parameters["snoopId"]))
    if request.name == "POST /bridges":
        return Answer(200, _bridge(request))
    return Answer()


def _playback(request: Request) -> dict[str, Any]:
    return {
        "id": request.parameters["playbackId"],
        "media_uri": request.parameters["media"].partition(",")[0],
        "target_uri": "channel:c",
        "state": "queued",
    }


def _bridge(request: Request) -> dict[str, Any]:
    return {
        "id": request.parameters["bridgeId"],
        "technology": "softmix",
        "bridge_type": "mixing",
        "bridge_class": "stasis",
        "creator": "Stasis",
        "name": "",
        "channels": [],
        "creationtime": "2026-11-23T09:34:47.436+0000",
    }
