"""The services put together: ingest, command, or both in one process."""

import asyncio
from collections.abc import Sequence
from contextlib import AsyncExitStack
from typing import Literal

import structlog

from . import connections, health
from .__about__ import __version__
from .bus.base import Bus, opened
from .command.service import CommandService
from .health import AdminApi, Check
from .ingest import leases
from .ingest.service import Ingest
from .settings.load import Settings
from .telemetry import metrics as table
from .telemetry.metrics import Metrics

_log = structlog.get_logger()

Component = Literal["ingest", "command"]


async def serve(settings: Settings, components: Sequence[Component], stop: asyncio.Event) -> None:
    """Serve until `stop`, drain, and return.

    Args:
        settings: of all components.
        components: which services to run.
        stop: set when the process should end.
    """
    name = components[0] if len(components) == 1 else "standalone"
    metrics = _metrics(name)
    loop = asyncio.get_running_loop()
    metrics.read(table.TASKS, lambda: len(asyncio.all_tasks(loop)))
    async with AsyncExitStack() as stack:
        bus = await stack.enter_async_context(opened(connections.bus(settings, name)))
        _read_bus(metrics, bus)
        rest = await stack.enter_async_context(connections.rest_client(settings))
        services: list[Ingest | CommandService] = []
        api = AdminApi(checks={"bus": _bus_check(bus)}, metrics=metrics)
        if "ingest" in components:
            socket = connections.event_socket(settings)
            lease = leases.lease(settings)
            ingest = Ingest(settings, bus, rest, socket, metrics, lease)
            services.append(ingest)
            api = AdminApi(api.checks, metrics, ingest.dialogs)
        if "command" in components:
            services.append(CommandService(settings, bus, rest, metrics))
        checks = dict(api.checks)
        for service in services:
            checks |= service.checks
        await _run(settings, services, AdminApi(checks, metrics, api.dialogs), stop)
    _log.info("drain.finished")


async def _run(
    settings: Settings,
    services: Sequence[Ingest | CommandService],
    api: AdminApi,
    stop: asyncio.Event,
) -> None:
    async with asyncio.TaskGroup() as tasks:
        admin = settings.admin
        serving = (
            tasks.create_task(health.serve(api, admin.host, admin.port)) if admin.enabled else None
        )
        try:
            async with asyncio.TaskGroup() as running:
                for service in services:
                    running.create_task(service.run(stop))
        finally:
            if serving is not None:
                serving.cancel()


def _metrics(component: str) -> Metrics:
    metrics = Metrics()
    metrics.gauge(table.BUILD, __version__, component).set(1)
    return metrics


def _read_bus(metrics: Metrics, bus: Bus) -> None:
    metrics.read(table.BUS_CONNECTED, lambda: bus.is_connected)
    metrics.read(table.BUS_RECONNECTS, lambda: bus.reconnects)
    metrics.read(table.BUS_BUFFERED, lambda: bus.buffered_bytes)
    metrics.read(table.BUS_DROPPED, lambda: bus.dropped)


def _bus_check(bus: Bus) -> Check:
    async def check() -> str:
        return "" if bus.is_connected else "no connection to the bus"

    return check
