"""The admin API: /livez, /readyz, /metrics and, for ingest, its dialogs and its console.

It has no login, so what shows calls may have a port of its own: who reads metrics is not who may
know who talks to whom. The number of dialogs is a metric.

Its routes are Starlette's own: FastAPI, which needs 8 MB, comes with the console alone.
"""

import asyncio
import errno
import socket
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass, field
from functools import partial
from typing import Final, Literal, Protocol, cast

import structlog
import uvicorn
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import BaseRoute, Route

from ari_proxy import accepting
from ari_proxy.accepting import Acceptor
from ari_proxy.telemetry import metrics_table as table
from ari_proxy.telemetry.metrics import Metrics

from . import servers
from .checks import Check, problems
from .connections import Connection, OpenConnections
from .servers import ServerView

_log = structlog.get_logger()

#: Seconds for open requests to finish when the process ends.
STOP_SECONDS: Final = 2.0
#: Ports that are tried after a taken one.
MOVES: Final = 32
#: Peers that wait in the kernel; of more it drops those that come, which try again.
_BACKLOG: Final = 1024


class Extension(Protocol):
    """Further routes of the admin API."""

    def application(self, routes: Sequence[BaseRoute]) -> Starlette:
        """Return an application that has `routes` and the extension's own."""

    def close(self) -> None:
        """End open streams: the process is stopping."""


#: `calls`: the dialogs and the extension; `process`: all else.
Part = Literal["all", "process", "calls"]


@dataclass(frozen=True, slots=True)
class AdminApi:
    """Contents of the admin API."""

    #: Of the whole process, which is not ready while one of them fails.
    checks: Mapping[str, Check]
    metrics: Metrics
    #: By server_id; the process is ready while one of them is.
    servers: Mapping[str, ServerView] = field(default_factory=dict)
    has_dialogs: bool = False
    #: It shows calls.
    extension: Extension | None = None
    part: Part = "all"

    @property
    def is_about_calls(self) -> bool:
        """Whether nothing else is served here."""
        return self.part == "calls"

    def selected(self, server: str) -> Mapping[str, ServerView]:
        """Return the server of a name, all for '', or none."""
        found = self.servers.get(server)
        return {server: found} if found is not None else {} if server else self.servers


def application(api: AdminApi) -> Starlette:
    """Return the ASGI application."""
    routes = [] if api.is_about_calls else [*_health(api), *_count(api)]
    if api.part == "process":
        return Starlette(routes=routes)
    routes += _dialogs(api)
    return api.extension.application(routes) if api.extension else Starlette(routes=routes)


def _health(api: AdminApi) -> Iterator[Route]:
    async def livez(_: Request) -> Response:
        """Report that the event loop runs, and which servers' services do."""
        return JSONResponse({"status": "alive", "servers": servers.alive(api.servers)})

    async def readyz(request: Request) -> Response:
        """Report whether calls can be served and, if not, why."""
        wanted = request.query_params.get("server", "")
        if not (selected := api.selected(wanted)) and wanted:
            return _no_such(wanted)
        failed = await problems(api.checks)
        found = await servers.readiness(selected)
        ready = not failed and (found.is_ready or not selected)
        own = {name: failed.get(name, "ok") for name in api.checks}
        body = {"ready": ready, "checks": own | found.checks, "servers": found.servers}
        body |= servers.activity(selected)
        return JSONResponse(body, 200 if ready else 503)

    async def metrics(_: Request) -> Response:
        """Return the metrics in Prometheus's text format."""
        return Response(api.metrics.text(), media_type="text/plain; version=0.0.4")

    yield Route("/livez", livez)
    yield Route("/readyz", readyz)
    yield Route("/metrics", metrics)


def _dialogs(api: AdminApi) -> Iterator[Route]:
    async def dialogs(request: Request) -> Response:
        """Return the dialogs."""
        wanted = request.query_params.get("server", "")
        selected = api.selected(wanted)
        return JSONResponse(servers.dialogs(selected)) if selected else _no_such(wanted)

    if api.has_dialogs:
        yield Route("/dialogs", dialogs)


def _count(api: AdminApi) -> Iterator[Route]:
    async def count(request: Request) -> Response:
        """Return the number of open dialogs."""
        wanted = request.query_params.get("server", "")
        if not (selected := api.selected(wanted)):
            return _no_such(wanted)
        number, unknown = servers.count_open(selected)
        if unknown:
            problem = "the dialogs are not known until they have been reconciled with Asterisk"
            return JSONResponse({"detail": problem, "servers": [*unknown]}, 503)
        return JSONResponse({"open": number})

    if api.has_dialogs:
        yield Route("/dialogs/count", count)


def _no_such(server: str) -> Response:
    return JSONResponse({"detail": f"no server {server!r} is served here"}, 404)


class AdminApiError(Exception):
    """The admin API can't be served."""


class _Server(uvicorn.Server):
    """A server that leaves the signals to the process (`ari_proxy.runtime`) and accepts itself."""

    def __init__(
        self, config: uvicorn.Config, listening: Sequence[socket.socket], acceptor: Acceptor
    ) -> None:
        super().__init__(config)
        self._listening = listening
        self._acceptor = acceptor

    @contextmanager
    def capture_signals(self) -> Iterator[None]:
        """Capture none."""
        yield

    async def main_loop(self) -> None:
        """Accept connections until cancelled."""
        async with asyncio.TaskGroup() as tasks:

            def take(accepted: socket.socket, _: str) -> None:
                tasks.create_task(self._begin(accepted))

            for listening in self._listening:
                tasks.create_task(self._acceptor.run(listening, take))
            await super().main_loop()

    async def _begin(self, accepted: socket.socket) -> None:
        loop = asyncio.get_running_loop()
        with suppress(OSError):  # It has gone already.
            await loop.connect_accepted_socket(self._connection, accepted)

    def _connection(self) -> asyncio.BaseProtocol:
        return self.config.http_protocol_class(  # type: ignore[call-arg]  # uvicorn's own way
            config=self.config, server_state=self.server_state, app_state=self.lifespan.state
        )


async def serve(api: AdminApi, host: str, port: int, *, may_move: bool = False) -> None:
    """Serve the admin API until cancelled.

    Args:
        api: its contents.
        host: address or name to listen on; `::` is every address of this machine.
        port: port to listen on; 0 for any.
        may_move: whether to try the next ports if this one is taken.

    Raises:
        AdminApiError: the address can't be listened on.
    """
    setting = "admin.calls_port" if api.is_about_calls else "admin.port"
    listening = await _listen(host, port, setting, moves=MOVES if may_move else 0)
    where = listening[0].getsockname()[1]
    if api.is_about_calls:
        _log.info("admin.calls_listening", host=host, port=where)
    else:
        _log.info("admin.listening", host=host, port=where)
    connections = OpenConnections(lambda why: api.metrics.counter(table.ADMIN_REFUSED, why).inc())
    acceptor = Acceptor(partial(connections.count, "not_accepted"), _log_not_accepted)
    config = uvicorn.Config(
        application(api),
        http=cast("type[asyncio.Protocol]", partial(Connection, connections)),
        log_config=None,
        access_log=False,
        ws="none",  # The server side of websockets need not be imported.
        lifespan="off",
        timeout_graceful_shutdown=1,
    )
    server = _Server(config, listening, acceptor)
    with ExitStack() as stack:
        for one in listening:
            stack.enter_context(one)
        try:
            await server.serve([])
        finally:
            if api.extension is not None:
                api.extension.close()
            if server.started:
                async with asyncio.timeout(STOP_SECONDS):
                    await server.shutdown([])


def _log_not_accepted(error: str, others: int) -> None:
    _log.error("admin.not_accepted", error=error, others=others)


async def _listen(host: str, port: int, setting: str, *, moves: int) -> list[socket.socket]:
    """Listen on a port or, if it is taken, on one of the next `moves` ports."""
    try:
        return await accepting.listen(host, port, backlog=_BACKLOG)
    except OSError as error:
        if error.errno != errno.EADDRINUSE or not moves:
            raise AdminApiError(
                f"the admin API cannot listen on {host}:{port}: {error.strerror}; "
                f"choose another admin.host or {setting}"
            ) from error
    _log.warning("admin.port_taken", host=host, port=port)
    return await _listen(host, port + 1, setting, moves=moves - 1)
