"""Health: what has to be true for a service to be ready, each with a name."""

import asyncio
import errno
import socket
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from typing import Any, Final, Protocol

import structlog
import uvicorn
from fastapi import FastAPI, HTTPException, Response
from fastapi.responses import PlainTextResponse

from ari_proxy.telemetry.metrics import Metrics

_log = structlog.get_logger()

#: Seconds that open requests may take when the process ends.
STOP_SECONDS: Final = 2.0
#: Seconds that one check may take.
CHECK_SECONDS: Final = 2.0
#: Ports that are tried behind a taken one.
MOVES: Final = 32

#: Returns '' if all is well, else what is wrong.
Check = Callable[[], Awaitable[str]]


class Extension(Protocol):
    """More pages of the admin API."""

    def mount(self, app: FastAPI) -> None:
        """Add them."""

    def close(self) -> None:
        """End what would not end by itself: the process stops."""


@dataclass(frozen=True, slots=True)
class AdminApi:
    """What the admin API shows."""

    checks: Mapping[str, Check]
    metrics: Metrics
    dialogs: Callable[[], list[dict[str, Any]]] | None = None
    #: How many of them are not over; None while that is not known.
    count_open: Callable[[], int | None] | None = None
    extension: Extension | None = None


async def problems(checks: Mapping[str, Check]) -> dict[str, str]:
    """Run all checks side by side; return the failed ones with what is wrong."""
    results = await asyncio.gather(*(_bounded(check) for check in checks.values()))
    return {name: result for name, result in zip(checks, results, strict=True) if result}


async def _bounded(check: Check) -> str:
    try:
        async with asyncio.timeout(CHECK_SECONDS):
            return await check()
    except TimeoutError:
        return f"no answer within {CHECK_SECONDS:g} s"


def application(api: AdminApi) -> FastAPI:
    """Return the admin API: /livez, /readyz, /metrics and, for ingest, its dialogs."""
    app = FastAPI(title="ari-proxy", docs_url=None, redoc_url=None, openapi_url=None)

    @app.get("/livez")
    async def livez() -> dict[str, str]:
        """Tell that the event loop runs."""
        return {"status": "alive"}

    @app.get("/readyz", responses={503: {"description": "Calls can't be served."}})
    async def readyz(response: Response) -> dict[str, Any]:
        """Tell whether calls can be served, and if not, why."""
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

        @app.get("/dialogs/count", responses={503: {"description": "It is not known yet."}})
        async def count() -> dict[str, int]:
            """Tell how many dialogs are not over."""
            if (number := count_open()) is None:
                raise HTTPException(
                    503, "the dialogs are not known until Asterisk has told what it has"
                )
            return {"open": number}

    if api.extension is not None:
        api.extension.mount(app)
    return app


class AdminApiError(Exception):
    """The admin API can't be served."""


async def serve(api: AdminApi, host: str, port: int, *, may_move: bool = False) -> None:
    """Serve the admin API until cancelled.

    Args:
        api: what it shows.
        host: where to listen.
        port: on which port.
        may_move: whether one of the next ports will do where this one is taken.

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
    server = uvicorn.Server(config)
    with listening:
        try:
            await server._serve([listening])  # noqa: SLF001  `serve` would capture the signals
        finally:
            if api.extension is not None:
                api.extension.close()
            if server.started:
                async with asyncio.timeout(STOP_SECONDS):
                    await server.shutdown([listening])


def _listen(host: str, port: int, *, moves: int) -> socket.socket:
    """Listen on a port or, where it is taken, on one of the next ones."""
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
