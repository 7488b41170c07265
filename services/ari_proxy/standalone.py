"""Composition root of the services: ingest, command, or both, for one server or several."""

import asyncio
from collections.abc import Callable, Mapping, Sequence
from contextlib import AbstractAsyncContextManager, AsyncExitStack

import structlog

from ari_proxy.admin import api as admin_api
from ari_proxy.admin.api import AdminApi, Part
from ari_proxy.connections import factories

from .__about__ import __version__
from .ari.listener import Listener
from .ari.outbound_events import OutboundEvents
from .ari.websocket import EventSocket
from .backoff import Backoff
from .bus.base import Bus
from .bus.errors import BusError
from .connections.listeners import SharedListeners
from .ingest.parts import TIMES, Times
from .proxied_server import Component, ProcessParts, ProxiedServer
from .settings.errors import SettingsError
from .settings.load import Settings
from .supervision import RESTART, Supervisor
from .tap.masking import Masking
from .telemetry import loop_lag
from .telemetry import metrics_table as table
from .telemetry.metrics import Metrics
from .telemetry.traces import Traces, exported

_log = structlog.get_logger()


async def serve(  # noqa: PLR0913  what a process is made from, by name
    servers: Sequence[Settings],
    components: Sequence[Component],
    stop: asyncio.Event,
    *,
    bus_of: Callable[[Settings, str], Bus] = factories.bus,
    event_socket: Callable[[Settings], EventSocket] = factories.event_socket,
    outbound_events: Callable[[Settings, Listener], OutboundEvents] = factories.outbound_events,
    traces_of: Callable[..., AbstractAsyncContextManager[Traces]] = exported,
    times: Times = TIMES,
    restart: Backoff = RESTART,
) -> None:
    """Serve until `stop`, drain, and return.

    A server whose services fail is started again; the process ends when none runs.

    Args:
        servers: settings of each; they have those of the process in common.
        components: services to run.
        stop: set when the process should end.
        bus_of: makes the client of the bus, as `factories.bus` does.
        event_socket: makes the client of Asterisk's events websocket.
        outbound_events: makes what takes the one that Asterisk opens.
        traces_of: makes the exporter of traces, as `exported` does.
        times: intervals and deadlines of an active ingest.
        restart: from the failure of a server's services to their next start.

    Raises:
        SettingsError: a file that the settings name can't be used.
        AdminApiError: the admin API can't listen.
    """
    process = servers[0]
    for warning in process.warnings:
        _log.warning("settings.ignored", problem=warning)
    name = components[0] if len(components) == 1 else "standalone"
    metrics = _metrics(name, components)
    only = process.server_id if len(servers) == 1 else ""
    async with AsyncExitStack() as stack:
        exporting = traces_of(process.traces, name, bus=process.bus.kind, server_id=only)
        traces = await stack.enter_async_context(exporting)
        beside = await stack.enter_async_context(asyncio.TaskGroup())
        listeners = SharedListeners(
            beside, lambda reason: metrics.counter(table.LISTENER_REFUSED, reason).inc()
        )
        stack.callback(listeners.close)
        around = ProcessParts(
            name=name,
            components=components,
            servers=len(servers),
            metrics=metrics,
            traces=traces,
            listeners=listeners,
            times=times,
            bus_of=bus_of,
            event_socket=event_socket,
            outbound_events=outbound_events,
        )
        await _run(servers, around, beside, stop, restart)
    _log.info("drain.finished")


async def _run(
    servers: Sequence[Settings],
    around: ProcessParts,
    beside: asyncio.TaskGroup,
    stop: asyncio.Event,
    restart: Backoff,
) -> None:
    """Run the servers until they have stopped; serve the admin API meanwhile.

    Args:
        servers: settings of each.
        around: what they share.
        beside: for what runs as long as they do.
        stop: set when the process should end.
        restart: from the failure of a server's services to their next start.
    """
    metrics = around.metrics
    supervisor = Supervisor(
        expected=(SettingsError, BusError),
        count_failure=lambda server: metrics.counter(table.SERVER_FAILURES, server).inc(),
        restart=restart,
    )
    proxied = {
        settings.server_id: ProxiedServer(settings, around, supervisor.failure_of)
        for settings in servers
    }
    for name, server in proxied.items():
        metrics.counter(table.SERVER_FAILURES, name)
        server.expect()
    tasks = [beside.create_task(loop_lag.measure(metrics.histogram(table.LOOP_LAG)))]
    process = servers[0]
    apis = _admin_apis(process, around, proxied) if process.admin.enabled else ()
    tasks += [beside.create_task(_serve_admin(process, api)) for api in apis]
    try:
        await supervisor.run({name: server.run for name, server in proxied.items()}, stop)
    finally:
        for task in tasks:
            task.cancel()


async def _serve_admin(process: Settings, api: AdminApi) -> None:
    admin, may_move = process.admin, process.admin_port_may_move
    if api.is_about_calls and admin.calls_port is not None:
        await admin_api.serve(api, admin.host, admin.calls_port)
    else:
        await admin_api.serve(api, admin.host, admin.port, may_move=may_move)


def _admin_apis(
    process: Settings, around: ProcessParts, servers: Mapping[str, ProxiedServer]
) -> Sequence[AdminApi]:
    """Return what is served at admin.port, and what at admin.calls_port, if there is one."""
    if "ingest" not in around.components:
        return [AdminApi({}, around.metrics, servers)]
    console = None
    if process.admin.console:
        from ari_proxy.admin.console.console import Console  # noqa: PLC0415  FastAPI, 8 MB

        console = Console(servers, Masking(numbers=process.recorder.mask_numbers))
    parts: Sequence[Part] = ("process", "calls") if process.admin.has_calls_port else ("all",)
    return [
        AdminApi({}, around.metrics, servers, has_dialogs=True, extension=console, part=part)
        for part in parts
    ]


def _metrics(name: str, components: Sequence[Component]) -> Metrics:
    own = tuple(f"ariproxy_{component}" for component in components)
    metrics = Metrics(prefixes=(*table.COMMON, *table.SERVICES, *own))
    metrics.gauge(table.BUILD, __version__, name).set(1)
    loop = asyncio.get_running_loop()
    metrics.read(table.TASKS, lambda: len(asyncio.all_tasks(loop)))
    return metrics
