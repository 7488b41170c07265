"""Health: what has to be true for a service to be ready, each with a name."""

import asyncio
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from typing import Any, Final

import uvicorn
from fastapi import FastAPI, Response

from .telemetry.metrics import Metrics

#: Seconds that one check may take.
CHECK_SECONDS: Final = 2.0

#: Returns '' if all is well, else what is wrong.
Check = Callable[[], Awaitable[str]]


@dataclass(frozen=True, slots=True)
class AdminApi:
    """What the admin API shows."""

    checks: Mapping[str, Check]
    metrics: Metrics
    dialogs: Callable[[], list[dict[str, Any]]] | None = None


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
    """Return the admin API: /livez, /readyz, /metrics and, for ingest, /dialogs."""
    app = FastAPI(title="ari-proxy", docs_url=None, redoc_url=None, openapi_url=None)

    @app.get("/livez")
    async def livez() -> dict[str, str]:
        """Tell that the event loop runs."""
        return {"status": "alive"}

    @app.get("/readyz")
    async def readyz(response: Response) -> dict[str, Any]:
        """Tell whether calls can be served, and if not, why."""
        failed = await problems(api.checks)
        response.status_code = 503 if failed else 200
        ready = {name: failed.get(name, "ok") for name in api.checks}
        return {"ready": not failed, "checks": ready}

    @app.get("/metrics")
    async def metrics() -> Response:
        """Return the metrics in Prometheus's text format."""
        return Response(api.metrics.text(), media_type="text/plain; version=0.0.4")

    if api.dialogs is not None:
        app.get("/dialogs")(api.dialogs)
    return app


class _Server(uvicorn.Server):
    """Leaves the signals to the process."""

    def install_signal_handlers(self) -> None:
        """Do nothing."""


async def serve(api: AdminApi, host: str, port: int) -> None:
    """Serve the admin API until cancelled."""
    config = uvicorn.Config(
        application(api), host=host, port=port, log_config=None, access_log=False, lifespan="off"
    )
    await _Server(config)._serve()  # noqa: SLF001  `serve` would capture the signals
