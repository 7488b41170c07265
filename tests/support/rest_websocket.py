"""A scripted ARI endpoint that answers requests on websockets, one after another on each."""

import asyncio
import json
from collections.abc import AsyncIterator
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from dataclasses import dataclass, field
from http import HTTPStatus
from typing import Any, NamedTuple
from urllib.parse import parse_qs, urlsplit

from websockets.asyncio.connection import Connection
from websockets.asyncio.server import ServerConnection, serve
from websockets.exceptions import ConnectionClosed
from websockets.http11 import Request, Response

from ari_proxy.ari.credentials import CredentialSource
from ari_proxy.ari.either_client import EitherClient
from ari_proxy.ari.no_http import NoHttp
from ari_proxy.ari.rest import RestClient
from ari_proxy.ari.rest_pool import RestPool
from ari_proxy.ari.rest_sockets import ASK_AGAIN, RestSockets, application_name
from ari_proxy.ari.websocket import EventSocket
from ari_proxy.ari.websocket_client import WebsocketClient
from ari_proxy.backoff import Backoff
from tests.support.running import until
from tests.support.scripted_asterisk import CREDENTIALS, ScriptedAsterisk, scripted_asterisk
from tests.support.servers import Asterisk


@dataclass
class ScriptedWebsockets:
    """Answers 204 by default, and 200 to the event filter of a websocket."""

    url: str = ""
    #: In the order of their arrival, without the filters.
    requests: list[dict[str, Any]] = field(default_factory=list)
    filters: list[dict[str, Any]] = field(default_factory=list)
    #: Applications of the websockets that were opened.
    applications: list[str] = field(default_factory=list)
    connections: set[Connection] = field(default_factory=set)
    #: Answers by URI.
    answers: dict[str, tuple[int, str]] = field(default_factory=dict)
    #: URIs whose answers wait until the event is set: those behind them wait, too.
    held: dict[str, asyncio.Event] = field(default_factory=dict)
    #: URIs whose requests end the connection, or get no answer.
    broken: set[str] = field(default_factory=set)
    unanswered: set[str] = field(default_factory=set)
    #: Of the answer to an event filter; 503 while Asterisk boots.
    filter_status: int = 200
    #: True for an Asterisk that answers nothing.
    is_old: bool = False
    #: True to refuse websockets.
    is_refusing: bool = False

    def process_request(self, connection: ServerConnection, request: Request) -> Response | None:
        query = parse_qs(urlsplit(request.path).query)
        self.applications += query["app"]
        if self.is_refusing:
            return connection.respond(HTTPStatus.SERVICE_UNAVAILABLE, "")
        return None

    async def serve(self, connection: Connection) -> None:
        self.connections.add(connection)
        try:
            async for frame in connection:
                if not self.is_old:
                    await self._answer(connection, json.loads(frame))
        except ConnectionClosed:
            pass
        finally:
            self.connections.discard(connection)

    async def _answer(self, connection: Connection, request: dict[str, Any]) -> None:
        uri = request["uri"]
        if uri.endswith("/eventFilter"):
            self.filters.append(request)
            await self.send(connection, request, self.filter_status, "{}")
            return
        self.requests.append(request)
        if uri in self.broken:
            connection.transport.abort()
        if uri in self.held:
            await self.held[uri].wait()
        if uri not in self.unanswered:
            await self.send(connection, request, *self.answers.get(uri, (204, "")))

    @staticmethod
    async def send(connection: Connection, request: dict[str, Any], status: int, body: str) -> None:
        response = {
            "type": "RESTResponse",
            "transaction_id": "",
            "request_id": request["request_id"],
            "status_code": status,
            "reason_phrase": "",
            "uri": request["uri"],
            "message_body": body,
        }
        await connection.send(json.dumps(response))

    async def drop(self) -> None:
        """End all websockets without a closing handshake."""
        for connection in [*self.connections]:
            connection.transport.abort()
        await until(lambda: not self.connections)


class Ways(NamedTuple):
    """Both ways to an Asterisk, and the client that chooses."""

    http: RestClient
    sockets: RestPool
    client: EitherClient


class Doors(NamedTuple):
    """Both ways to a scripted endpoint, and the client that chooses."""

    websockets: ScriptedWebsockets
    http: ScriptedAsterisk
    sockets: RestPool
    client: EitherClient


@asynccontextmanager
async def scripted_websockets(port: int = 0) -> AsyncIterator[ScriptedWebsockets]:
    script = ScriptedWebsockets()
    async with serve(
        script.serve, "127.0.0.1", port, process_request=script.process_request, max_size=65_535
    ) as server:
        at = next(iter(server.sockets)).getsockname()[1]
        script.url = f"ws://127.0.0.1:{at}/ari/events"
        try:
            yield script
        finally:
            for event in script.held.values():
                event.set()


@asynccontextmanager
async def running_sockets(
    url: str,
    number: int = 2,
    *,
    source: CredentialSource = CREDENTIALS,
    ask_again: Backoff = ASK_AGAIN,
) -> AsyncIterator[RestPool]:
    """Run websockets that are opened again at once."""
    backoff = Backoff(first_seconds=0.01, last_seconds=0.01)
    pool = RestPool(answer_seconds=1)
    sockets = RestSockets(
        pool,
        [EventSocket(url, (application_name(),), source, backoff=backoff) for _ in range(number)],
        ask_again=ask_again,
    )
    async with asyncio.TaskGroup() as tasks:
        running = tasks.create_task(sockets.run())
        try:
            yield pool
        finally:
            running.cancel()


@asynccontextmanager
async def clients(
    http_url: str,
    websocket_url: str,
    number: int = 2,
    *,
    source: CredentialSource = CREDENTIALS,
    timeout_seconds: float = 5,
) -> AsyncIterator[Ways]:
    """Yield both ways to an Asterisk; it has not been asked yet whether it has both."""
    async with (
        RestClient(http_url, source, concurrency=8, timeout_seconds=timeout_seconds) as rest,
        running_sockets(websocket_url, number, source=source) as sockets,
    ):
        client = EitherClient(sockets, rest, concurrency=32, timeout_seconds=timeout_seconds)
        yield Ways(rest, sockets, client)


@asynccontextmanager
async def doors(number: int = 2, *, timeout_seconds: float = 5) -> AsyncIterator[Doors]:
    """Run a client with websockets that are open, to a scripted endpoint."""
    async with (
        scripted_websockets() as script,
        scripted_asterisk() as http,
        clients(http.url, script.url, number, timeout_seconds=timeout_seconds) as ways,
    ):
        await until(lambda: ways.sockets.opened == number)
        yield Doors(script, http, ways.sockets, ways.client)


def real_doors(asterisk: Asterisk, number: int = 2) -> AbstractAsyncContextManager[Ways]:
    """Yield both ways to a real Asterisk."""
    return clients(asterisk.url, asterisk.websocket_url, number)


class WebsocketDoor(NamedTuple):
    """Websockets to a scripted endpoint, and a client that has no other way."""

    websockets: ScriptedWebsockets
    sockets: RestPool
    client: WebsocketClient


@asynccontextmanager
async def websocket_door(
    number: int = 2, *, concurrency: int = 32, timeout_seconds: float = 5
) -> AsyncIterator[WebsocketDoor]:
    """Run a client with websockets that are open, and nothing else."""
    async with scripted_websockets() as script, running_sockets(script.url, number) as sockets:
        client = WebsocketClient(
            sockets, NoHttp(), concurrency=concurrency, timeout_seconds=timeout_seconds
        )
        await until(lambda: sockets.opened == number)
        yield WebsocketDoor(script, sockets, client)
