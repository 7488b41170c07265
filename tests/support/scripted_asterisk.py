"""A scripted ARI endpoint: pushes any frame, answers as told, records requests."""

import asyncio
import base64
import json
import ssl
import tempfile
from collections import deque
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

from aiohttp import WSCloseCode, web

from ari_proxy.ari.credentials import Credentials, CredentialSource
from ari_proxy.ari.rest import RestClient
from ari_proxy.ari.snapshot import DIALOG_VARIABLE
from ari_proxy.ari.websocket_names import COMMAND_PREFIX
from ari_proxy.ingest.events.own_events import CANARY_NAME
from tests.support.servers import PASSWORD

#: Of the client that `asterisk_without_network` makes.
CREDENTIALS: Final = Credentials("ari", PASSWORD)


@dataclass
class Request:
    method: str
    target: str
    body: str
    authorization: str


@dataclass
class ScriptedAsterisk:
    """Answers 204 by default."""

    url: str = ""
    websocket_url: str = ""
    requests: list[Request] = field(default_factory=list)
    #: What ingest asks and does for itself is not among them: it looks at what there is, and writes
    #: the dialog onto channels.
    marks: list[Request] = field(default_factory=list)
    channels: list[dict[str, Any]] = field(default_factory=list)
    bridges: list[dict[str, Any]] = field(default_factory=list)
    started_at: str = "2026-01-01T00:00:00.000+0000"
    upgrades: list[dict[str, str]] = field(default_factory=list)
    #: Answers by method and path; each is used once, in order.
    answers: dict[tuple[str, str], deque[tuple[int, str]]] = field(default_factory=dict)
    #: Answers by method and path that stay.
    standing: dict[tuple[str, str], tuple[int, str]] = field(default_factory=dict)
    #: Sizes of answers to GET by path, and whether a Content-Length tells them.
    large: dict[str, tuple[int, bool]] = field(default_factory=dict)
    #: Bytes of such answers that went out.
    written: int = 0
    #: Ids of prepared answers → ids that the requests asked for instead.
    names: dict[str, str] = field(default_factory=dict)
    #: How many marks are answered too late.
    late_marks: int = 0
    #: How many marks break their connection, and paths of requests that do.
    broken_marks: int = 0
    broken: set[str] = field(default_factory=set)
    #: Applications whose events do not come, though it says that they are there.
    silent: set[str] = field(default_factory=set)
    #: What it answers when they are asked for.
    proof_status: int = 204
    #: How many were asked of it.
    proofs: int = 0
    #: Statuses with which the websocket is refused before it is taken.
    booting: deque[int] = field(default_factory=deque)
    #: What the next connection gets, to be closed then at once.
    brief: list[str] = field(default_factory=list)
    #: Frames that it was sending as another client took the application. It lets go of the
    #: application before it writes: they go to the former client, before the next event.
    being_sent: list[str] = field(default_factory=list)
    #: How many times its lists are not there yet.
    unlisted: int = 0
    #: Set to let no answer go out.
    hold: asyncio.Event | None = None
    socket: web.WebSocketResponse | None = None
    former: web.WebSocketResponse | None = None
    connected: asyncio.Event = field(default_factory=asyncio.Event)

    def answer(self, method: str, path: str, status: int, body: str = "") -> None:
        self.answers.setdefault((method, path), deque()).append((status, body))

    def renamed(self, text: str) -> str:
        """Return a prepared text with the ids chosen by the proxy."""
        for theirs, ours in self.names.items():
            text = text.replace(theirs, ours)
        return text

    def add_channel(self, channel: str, application: str = "demo", **fields: Any) -> None:
        """Add a channel in an application to the lists."""
        dialplan = {"app_name": "Stasis", "app_data": application}
        self.channels.append({"id": channel, "state": "Up", "dialplan": dialplan, **fields})

    async def push(self, frame: str) -> None:
        async with asyncio.timeout(10):
            await self.connected.wait()
        assert self.socket is not None
        await self.socket.send_str(frame)

    async def drop(self) -> None:
        assert self.socket is not None
        self.connected.clear()
        await self.socket.close(code=WSCloseCode.GOING_AWAY)

    async def _events(self, request: web.Request) -> web.StreamResponse:
        if request.query["app"].startswith(COMMAND_PREFIX):
            return await self._no_requests(request)
        self.upgrades.append({"target": str(request.rel_url), **request.headers})
        if self.booting:
            return web.Response(status=self.booting.popleft())
        socket = web.WebSocketResponse(protocols=("ari",))
        await socket.prepare(request)
        self.former, self.socket = self.socket, socket
        if self.former is not None and not self.former.closed:
            for application in request.query["app"].split(","):
                await self.former.send_str(application_replaced(application))
        if self.brief:
            frames, self.brief = self.brief, []
            for frame in frames:
                await socket.send_str(frame)
            await socket.close(code=WSCloseCode.GOING_AWAY)
            return socket
        self.connected.set()
        async for _ in socket:
            pass
        return socket

    async def _no_requests(self, request: web.Request) -> web.StreamResponse:
        """Answer nothing on a command's websocket, as an older Asterisk does."""
        socket = web.WebSocketResponse(protocols=("ari",))
        await socket.prepare(request)
        async for _ in socket:
            pass
        return socket

    async def _write(self, request: web.Request, size: int, *, told: bool) -> web.StreamResponse:
        response = web.StreamResponse()
        if told:
            response.content_length = size
        else:
            response.enable_chunked_encoding()
        await response.prepare(request)
        piece = b"x" * 65_536
        with suppress(ConnectionError):
            for _ in range(size // len(piece)):
                await response.write(piece)
                self.written += len(piece)
        return response

    async def _rest(self, request: web.Request) -> web.StreamResponse:
        body = await request.text()
        authorization = request.headers.get("Authorization", "")
        asked = Request(request.method, request.raw_path, body, authorization)
        if asked.target.endswith("report_events=true") and self.broken_marks:
            self.broken_marks -= 1
            return self._break(request)
        answer = self._for_ingest(asked, request.path.removeprefix("/ari"))
        if asked.target.endswith("report_events=true") and self.late_marks:
            self.late_marks -= 1
            await asyncio.sleep(1.5)
        if asked.method == "POST" and f"/events/user/{CANARY_NAME}." in asked.target:
            answer = await self._prove(request)
        if answer is not None:
            return answer
        self.requests.append(asked)
        if self.hold is not None:
            await self.hold.wait()
        path = request.path.removeprefix("/ari")
        if path in self.broken:
            return self._break(request)
        if path in self.large:
            size, told = self.large[path]
            return await self._write(request, size, told=told)
        prepared = self.answers.get((request.method, path))
        status, text = (
            prepared.popleft() if prepared else self.standing.get((request.method, path), (204, ""))
        )
        chosen = [
            v for k, v in request.query.items() if k in {"channelId", "bridgeId", "playbackId"}
        ]
        if chosen and text.startswith('{"id":"'):
            self.names[json.loads(text)["id"]] = chosen[0]
        text = self.renamed(text)
        content_type = "application/json" if text else None
        return web.Response(status=status, text=text or None, content_type=content_type)

    @staticmethod
    def _break(request: web.Request) -> web.Response:
        assert request.transport is not None
        request.transport.abort()
        return web.Response()

    def _for_ingest(self, asked: Request, path: str) -> web.Response | None:
        if asked.method == "POST" and f"variable={DIALOG_VARIABLE}" in asked.target:
            self.marks.append(asked)
            return web.Response(status=204)
        information = {"status": {"startup_time": self.started_at}, "system": {"version": "22.0.0"}}
        found = {
            "/channels": self.channels,
            "/bridges": self.bridges,
            "/asterisk/info": information,
        }
        if asked.method == "GET" and path in found:
            if self.unlisted:
                self.unlisted -= 1
                return web.Response(status=503)
            return web.json_response(found[path])
        return None

    async def _prove(self, request: web.Request) -> web.Response:
        self.proofs += 1
        while self.being_sent and self.former is not None:
            await self.former.send_str(self.being_sent.pop(0))
        application = request.query["application"]
        is_told = self.proof_status == 204 and application not in self.silent
        if self.socket is not None and not self.socket.closed and is_told:
            name = request.path.rpartition("/")[2]
            event = {"type": "ChannelUserevent", "eventname": name, "application": application}
            await self.socket.send_str(json.dumps(event, separators=(",", ":")))
        return web.Response(status=self.proof_status)

    @property
    def password(self) -> str:
        return base64.b64encode(f"ari:{PASSWORD}".encode()).decode()


@asynccontextmanager
async def _served(script: ScriptedAsterisk) -> AsyncIterator[web.AppRunner]:
    app = web.Application()
    app.router.add_get("/ari/events", script._events)
    app.router.add_route("*", "/ari/{tail:.*}", script._rest)
    runner = web.AppRunner(app, shutdown_timeout=0.1)
    await runner.setup()
    try:
        yield runner
    finally:
        if script.socket is not None:
            await script.socket.close()
        await runner.cleanup()


def asterisk_at(port: int) -> ScriptedAsterisk:
    """Return an Asterisk that is not running, with the URLs that it would have."""
    return ScriptedAsterisk(*_urls_at(port))


def _urls_at(port: int) -> tuple[str, str]:
    return f"http://127.0.0.1:{port}/ari", f"ws://127.0.0.1:{port}/ari/events"


@asynccontextmanager
async def scripted_asterisk(
    port: int = 0, *, tls: ssl.SSLContext | None = None
) -> AsyncIterator[ScriptedAsterisk]:
    script = ScriptedAsterisk()
    async with _served(script) as runner:
        await web.TCPSite(runner, "127.0.0.1", port, ssl_context=tls).start()
        script.url, script.websocket_url = _urls_at(runner.addresses[0][1])
        yield script


@asynccontextmanager
async def asterisk_without_network(
    credentials: CredentialSource = CREDENTIALS,
) -> AsyncIterator[tuple[ScriptedAsterisk, RestClient]]:
    """Yield a scripted ARI endpoint and a client of it, without a network between them."""
    script = ScriptedAsterisk()
    with tempfile.TemporaryDirectory() as directory:
        path = str(Path(directory, "ari"))
        async with _served(script) as runner:
            await web.UnixSite(runner, path).start()
            async with RestClient(
                "http://asterisk/ari",
                credentials,
                concurrency=8,
                timeout_seconds=5,
                path=path,
            ) as rest:
                yield script, rest


def application_replaced(application: str) -> str:
    return (
        f'{{"type":"ApplicationReplaced","timestamp":"2026-01-01T00:00:00.123+0000",'
        f'"application":"{application}"}}'
    )


def channel_event(
    event_type: str, channel: str, application: str = "demo", *, more: str = ""
) -> str:
    return (
        f'{{"type":"{event_type}","timestamp":"2026-01-01T00:00:00.123+0000",{more}'
        f'"channel":{{"id":"{channel}","name":"PJSIP/a-1","state":"Up"}},'
        f'"asterisk_id":"02:00:00:00:00:01","application":"{application}"}}'
    )
