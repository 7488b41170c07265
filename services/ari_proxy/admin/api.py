"""The admin API: /livez, /readyz, /metrics and, for ingest, its dialogs and its console."""

import asyncio
import errno
import socket
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, Final, Protocol

import structlog
import uvicorn
from fastapi import FastAPI, HTTPException, Response
from fastapi.responses import PlainTextResponse

from ari_proxy.telemetry.metrics import Metrics

from .checks import Check, problems

_log = structlog.get_logger()

#: Seconds for open requests to finish when the process ends.
STOP_SECONDS: Final = 2.0
#: Ports that are tried after a taken one.
MOVES: Final = 32


class Extension(Protocol):
    """Further routes of the admin API."""

    def mount(self, app: FastAPI) -> None:
        """Add the routes to `app`."""

    def close(self) -> None:
        """End open streams: the process is stopping."""


@dataclass(frozen=True, slots=True)
class AdminApi:
    """Contents of the admin API."""

    checks: Mapping[str, Check]
    metrics: Metrics
    dialogs: Callable[[], list[dict[str, Any]]] | None = None
    #: Number of open dialogs; returns None while it is unknown.
    count_open: Callable[[], int | None] | None = None
    extension: Extension | None = None


def application(api: AdminApi) -> FastAPI:
    """Return the ASGI application."""
    app = FastAPI(title="ari-proxy", docs_url=None, redoc_url=None, openapi_url=None)

    @app.get("/livez")
    async def livez() -> dict[str, str]:
        """Report that the event loop runs."""
        return {"status": "alive"}

    @app.get("/readyz", responses={503: {"description": "Calls can't be served."}})
    async def readyz(response: Response) -> dict[str, Any]:
        """Report whether calls can be served and, if not, why."""
        failed = await problems(api.checks)
        response.status_code = 503 if failed else 200
        ready = {name: failed.get(name, "ok") for name in api.checks}
        return {"ready": not failed, "checks": ready}

    @app.get("/metrics", response_class=PlainTextResponse)
    async def metrics() -> Response:
        """Return the metrics in Prometheus's text format."""
        return Response(api.metrics.text(), media_type="text/plain; version=0.0.4")

    if (read_dialogs := api.dialogs) is not None:

        @app.get("/dialogs")
        async def dialogs() -> list[dict[str, Any]]:
            """Return the dialogs."""
            return read_dialogs()

    if (count_open := api.count_open) is not None:

        @app.get("/dialogs/count", responses={503: {"description": "Not known yet."}})
        async def count() -> dict[str, int]:
            """Return the number of open dialogs."""
            if (number := count_open()) is None:
                raise HTTPException(
                    503, "the dialogs are not known until they have been reconciled with Asterisk"
                )
            return {"open": number}

    if api.extension is not None:
        api.extension.mount(app)
    return app


class AdminApiError(Exception):
    """The admin API can't be served."""


class _Server(uvicorn.Server):
    """A server that leaves the signals to the process (`ari_proxy.runtime`)."""

    @contextmanager
    def capture_signals(self) -> Iterator[None]:
        """Capture none."""
        yield


async def serve(api: AdminApi, host: str, port: int, *, may_move: bool = False) -> None:
    """Serve the admin API until cancelled.

    Args:
        api: its contents.
        host: address to listen on.
        port: port to listen on; 0 for any.
        may_move: whether to try the next ports if this one is taken.

    Raises:
        AdminApiError: the address can't be listened on.
    """
    listening = _listen(host, port, moves=MOVES if may_move else 0)
    _log.info("admin.listening", host=host, port=listening.getsockname()[1])
    config = uvicorn.Config(
        application(api),
        log_config=None,
        access_log=False,
        lifespan="off",
        timeout_graceful_shutdown=1,
    )
    server = _Server(config)
    with listening:
        try:
            await server.serve([listening])
        finally:
            if api.extension is not None:
                api.extension.close()
            if server.started:
                async with asyncio.timeout(STOP_SECONDS):
                    await server.shutdown([listening])


def _listen(host: str, port: int, *, moves: int) -> socket.socket:
    """Listen on a port or, if it is taken, on one of the next `moves` ports."""
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    try:
        return socket.create_server((host, port), family=family, backlog=128)
    except OSError as error:
        if error.errno != errno.EADDRINUSE or not moves:
            raise AdminApiError(
                f"the admin API cannot listen on {host}:{port}: {error.strerror}; "
                "choose another admin.host or admin.port"
            ) from error
    _log.warning("admin.port_taken", host=host, port=port)
    return _listen(host, port + 1, moves=moves - 1)
