"""Composition root of the services: ingest, command, or both in one process."""

import asyncio
from collections.abc import Callable, Mapping, Sequence
from contextlib import AbstractAsyncContextManager, AsyncExitStack
from functools import partial
from typing import Literal

import structlog

from ari_proxy.admin import api as admin_api
from ari_proxy.admin.api import AdminApi
from ari_proxy.admin.checks import Check
from ari_proxy.connections import factories
from ari_proxy.ingest.lease import factory as leases

from .__about__ import __version__
from .ari.client import AriClient
from .ari.connection_source import EventSource
from .ari.listener import Listener
from .ari.outbound_events import OutboundEvents
from .ari.rest_pool import RestPool
from .ari.websocket import EventSocket
from .bus.base import Bus, opened
from .command.service import CommandService
from .ingest.admin_view import AdminView
from .ingest.parts import TIMES, Surroundings, Times
from .ingest.service import IngestService
from .protocol.ids import ServerId
from .settings.load import Settings
from .tap.tap import Tap
from .telemetry import loop_lag
from .telemetry import metrics_table as table
from .telemetry.metrics import Metrics
from .telemetry.traces import Traces, exported

_log = structlog.get_logger()

Component = Literal["ingest", "command"]


async def serve(  # noqa: PLR0913  what a process is made from, by name
    settings: Settings,
    components: Sequence[Component],
    stop: asyncio.Event,
    *,
    bus_of: Callable[[Settings, str], Bus] = factories.bus,
    event_socket: Callable[[Settings], EventSocket] = factories.event_socket,
    outbound_events: Callable[[Settings, Listener], OutboundEvents] = factories.outbound_events,
    traces_of: Callable[..., AbstractAsyncContextManager[Traces]] = exported,
    times: Times = TIMES,
) -> None:
    """Serve until `stop`, drain, and return.

    Args:
        settings: for all components.
        components: services to run.
        stop: set when the process should end.
        bus_of: makes the client of the bus, as `factories.bus` does.
        event_socket: makes the client of Asterisk's events websocket.
        outbound_events: makes what takes the one that Asterisk opens.
        traces_of: makes the exporter of traces, as `exported` does.
        times: intervals and deadlines of an active ingest.

    Raises:
        SettingsError: a file that the settings name can't be used.
        AdminApiError: the admin API can't listen.
    """
    for warning in settings.warnings:
        _log.warning("settings.ignored", problem=warning)
    name = components[0] if len(components) == 1 else "standalone"
    metrics = _metrics(name, components)
    async with AsyncExitStack() as stack:
        bus = await stack.enter_async_context(opened(bus_of(settings, name)))
        _read_bus(metrics, bus, settings)
        rest = await stack.enter_async_context(factories.rest_client(settings))
        server = ServerId(settings.server_id)
        traces = await stack.enter_async_context(
            traces_of(settings.traces, name, bus=settings.bus.kind, server_id=server)
        )
        listener = _listener(metrics, settings)
        tap = Tap(server, bus)
        stack.push_async_callback((await tap.listen()).unsubscribe)
        services: list[IngestService | CommandService] = []
        view = None
        if "ingest" in components:
            events: EventSource = event_socket(settings)
            requests: AriClient = rest
            if listener is not None:
                events = requests = outbound_events(settings, listener)
            lease = leases.lease(settings)
            around = Surroundings(
                settings=settings, bus=bus, rest=requests, metrics=metrics, tap=tap, traces=traces
            )
            ingest = IngestService(around, events, lease, times=times)
            services.append(ingest)
            view = ingest.view
        if "command" in components:
            way = await stack.enter_async_context(
                factories.command_way(
                    settings, rest, listener, partial(_read_sockets, metrics, server)
                )
            )
            command = CommandService(settings, bus, way, metrics, tap=tap, traces=traces)
            services.append(command)
        checks = {"bus": _bus_check(bus)}
        for service in services:
            checks |= service.checks
        api = _admin_api(settings, bus, metrics, checks, view)
        await _run(settings, services, api, listener, stop)
    _log.info("drain.finished")


def _admin_api(
    settings: Settings,
    bus: Bus,
    metrics: Metrics,
    checks: Mapping[str, Check],
    view: AdminView | None,
) -> AdminApi:
    """Return the admin API's contents; `view` is ingest's, or None without ingest."""
    if view is None:
        return AdminApi(checks, metrics)
    console = None
    if settings.admin.console:
        from ari_proxy.admin.console.console import Console  # noqa: PLC0415  FastAPI, 8 MB

        console = Console(ServerId(settings.server_id), bus, view.newest, checks)
    return AdminApi(
        checks, metrics, view.dialogs, view.count_open, console, is_active=view.is_active
    )


async def _run(
    settings: Settings,
    services: Sequence[IngestService | CommandService],
    api: AdminApi,
    listener: Listener | None,
    stop: asyncio.Event,
) -> None:
    """Run the services until they have stopped; serve the admin API and listen meanwhile."""
    async with asyncio.TaskGroup() as tasks:
        admin = settings.admin
        lag = api.metrics.histogram(table.LOOP_LAG)
        others = [tasks.create_task(loop_lag.measure(lag))]
        if admin.enabled:
            may_move = settings.admin_port_may_move
            serving = admin_api.serve(api, admin.host, admin.port, may_move=may_move)
            others.append(tasks.create_task(serving))
        if listener is not None:
            others.append(tasks.create_task(listener.run()))
        try:
            async with asyncio.TaskGroup() as running:
                for service in services:
                    running.create_task(service.run(stop))
        finally:
            for task in others:
                task.cancel()


def _metrics(name: str, components: Sequence[Component]) -> Metrics:
    own = tuple(f"ariproxy_{component}" for component in components)
    metrics = Metrics(prefixes=(*table.COMMON, "ariproxy_bus", "ariproxy_ari", *own))
    metrics.gauge(table.BUILD, __version__, name).set(1)
    loop = asyncio.get_running_loop()
    metrics.read(table.TASKS, lambda: len(asyncio.all_tasks(loop)))
    return metrics


def _listener(metrics: Metrics, settings: Settings) -> Listener | None:
    """Return the server for the websockets that Asterisk opens; None if we open them."""
    if settings.ari.connection == "inbound":
        return None
    return factories.listener(
        settings, lambda reason: metrics.counter(table.LISTENER_REFUSED, reason).inc()
    )


def _read_bus(metrics: Metrics, bus: Bus, settings: Settings) -> None:
    kind = settings.bus.kind
    metrics.read(table.BUS_CONNECTED, lambda: bus.is_connected, kind)
    metrics.read(table.BUS_BLOCKED, lambda: bus.is_blocked, kind)
    metrics.read(table.BUS_REFUSED, lambda: bus.refused, kind)
    metrics.read(table.BUS_REFUSALS, lambda: bus.refusals, kind)
    metrics.read(table.BUS_RECONNECTS, lambda: bus.reconnects, kind)
    metrics.read(table.BUS_PUBLISHED, lambda: bus.published, kind)
    metrics.read(table.BUS_BUFFERED, lambda: bus.buffered_bytes, kind)
    metrics.read(table.BUS_DROPPED, lambda: bus.dropped, kind)
    for fault in bus.faults:
        metrics.read(table.BUS_FAULTS, partial(bus.faults.__getitem__, fault), kind, fault)
    metrics.gauge(table.BUS_BUFFER_CAPACITY, kind).set(settings.bus.buffer_bytes)


def _read_sockets(metrics: Metrics, server: ServerId, sockets: RestPool) -> None:
    metrics.read(table.COMMAND_WEBSOCKETS, lambda: sockets.opened, server)


def _bus_check(bus: Bus) -> Check:
    async def check() -> str:
        problem = bus.problem
        return problem.reason if problem else ""

    return check
