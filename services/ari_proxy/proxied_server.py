"""What one Asterisk server has in a process: ingest, command or both, and connections of its own.

The bus's is one of them: what floods one server, or is refused to its account, fills and ends
nothing of the others.
"""

import asyncio
from collections.abc import Callable, Mapping, Sequence
from contextlib import AsyncExitStack, suppress
from dataclasses import dataclass
from functools import partial
from typing import Literal

import structlog

from .admin.checks import Check
from .ari.client import AriClient
from .ari.connection_source import EventSource
from .ari.listener import Listener
from .ari.outbound_events import OutboundEvents
from .ari.rest_pool import RestPool
from .ari.websocket import EventSocket
from .bus.base import Bus, opened
from .command.service import CommandService
from .connections import factories
from .connections.listeners import SharedListeners
from .ingest.admin_view import AdminView
from .ingest.lease import factory as leases
from .ingest.parts import Surroundings, Times
from .ingest.service import IngestService
from .protocol import ids
from .protocol.ids import ServerId
from .settings.errors import SettingsError
from .settings.load import Settings
from .tap.masking import Masking
from .tap.recorder import Recorder
from .tap.tap import Tap
from .telemetry import metrics_table as table
from .telemetry.metrics import Metrics
from .telemetry.traces import Traces

Component = Literal["ingest", "command"]


@dataclass(frozen=True, slots=True, kw_only=True)
class ProcessParts:
    """What the servers of a process share, and how their connections are made."""

    #: Of the process, which shows in the bus's list of connections.
    name: str
    components: Sequence[Component]
    servers: int  #: how many share it
    metrics: Metrics
    traces: Traces
    listeners: SharedListeners
    times: Times
    bus_of: Callable[[Settings, str], Bus]
    event_socket: Callable[[Settings], EventSocket]
    outbound_events: Callable[[Settings, Listener], OutboundEvents]


@dataclass(frozen=True, slots=True, kw_only=True)
class _Running:
    """The services of a server that run."""

    bus: Bus
    ingest: IngestService | None
    command: CommandService | None

    @property
    def checks(self) -> dict[str, Check]:
        checks = {"bus": _bus_check(self.bus)}
        for service in (self.ingest, self.command):
            checks |= service.checks if service is not None else {}
        return checks


class ProxiedServer:
    """The services of one server, which may be run again after a failure."""

    def __init__(
        self, settings: Settings, around: ProcessParts, failure_of: Callable[[str], str]
    ) -> None:
        """Initialise without connecting to anything.

        Args:
            settings: of the server.
            around: what it shares with the others.
            failure_of: returns why the services of a server do not run, or ''.
        """
        self.name = ServerId(settings.server_id)
        self._settings = settings
        self._around = around
        self._failure_of = failure_of
        self._running: _Running | None = None
        self._recorder = _recorder(settings, around)

    @property
    def checks(self) -> Mapping[str, Check]:
        """What has to be so for it to serve calls (ServerView)."""
        return self._running.checks if self._running else {"services": self._check_running}

    async def _check_running(self) -> str:
        return self.failure or "being started"

    @property
    def failure(self) -> str:
        """Why its services do not run, or '' (ServerView)."""
        return self._failure_of(self.name)

    @property
    def view(self) -> AdminView | None:
        """Its dialogs; None while ingest does not run (ServerView)."""
        ingest = self._running.ingest if self._running else None
        return ingest.view if ingest else None

    @property
    def bus(self) -> Bus | None:
        """Its connection to the bus; None while its services do not run (ServerView)."""
        return self._running.bus if self._running else None

    def expect(self) -> None:
        """Know its Asterisk, if that connects to us; before any server runs."""
        with suppress(SettingsError):  # `run` raises it, too.
            self._around.listeners.expect(self._settings, self._around.components)

    async def run(self, stop: asyncio.Event, serves: Callable[[], object]) -> None:
        """Serve until `stop`, and drain.

        Args:
            stop: set when the process should end.
            serves: called when all is made.

        Raises:
            SettingsError: a file that the settings name can't be used.
        """
        structlog.contextvars.bind_contextvars(server_id=self.name)
        async with AsyncExitStack() as stack:
            self._running = running = await self._made(stack)
            stack.callback(self._forget)
            serves()
            self._around.listeners.listen(self._settings)
            async with asyncio.TaskGroup() as tasks:
                for service in (running.ingest, running.command):
                    if service is not None:
                        tasks.create_task(service.run(stop))

    def _forget(self) -> None:
        self._running = None

    async def _made(self, stack: AsyncExitStack) -> _Running:
        """Return the services; `stack` closes what they use."""
        around, settings, metrics = self._around, self._settings, self._around.metrics
        bus = await stack.enter_async_context(opened(around.bus_of(settings, around.name)))
        _read_bus(metrics, bus, settings)
        rest = await stack.enter_async_context(factories.rest_client(settings))
        listener = around.listeners.of(settings)
        traces = around.traces.of_server(self.name)
        tap = Tap(self.name, bus, recorder=self._recorder)
        stack.push_async_callback((await tap.listen()).unsubscribe)
        ingest = command = None
        if "ingest" in around.components:
            events: EventSource = around.event_socket(settings)
            requests: AriClient = rest
            if listener is not None:
                events = requests = around.outbound_events(settings, listener)
            used = Surroundings(
                settings=settings, bus=bus, rest=requests, metrics=metrics, tap=tap, traces=traces
            )
            ingest = IngestService(used, events, leases.lease(settings), times=around.times)
        if "command" in around.components:
            watch = partial(_read_sockets, metrics, self.name)
            way = await stack.enter_async_context(
                factories.command_way(settings, rest, listener, watch)
            )
            command = CommandService(settings, bus, way, metrics, tap=tap, traces=traces)
        return _Running(bus=bus, ingest=ingest, command=command)


def _read_bus(metrics: Metrics, bus: Bus, settings: Settings) -> None:
    labels = settings.server_id, settings.bus.kind
    metrics.read(table.BUS_CONNECTED, lambda: bus.is_connected, *labels)
    metrics.read(table.BUS_BLOCKED, lambda: bus.is_blocked, *labels)
    metrics.read(table.BUS_REFUSED, lambda: bus.refused, *labels)
    metrics.read(table.BUS_REFUSALS, lambda: bus.refusals, *labels)
    metrics.read(table.BUS_RECONNECTS, lambda: bus.reconnects, *labels)
    metrics.read(table.BUS_PUBLISHED, lambda: bus.published, *labels)
    metrics.read(table.BUS_BUFFERED, lambda: bus.buffered_bytes, *labels)
    metrics.read(table.BUS_DROPPED, lambda: bus.dropped, *labels)
    for fault in bus.faults:
        metrics.read(table.BUS_FAULTS, partial(bus.faults.__getitem__, fault), *labels, fault)
    metrics.gauge(table.BUS_BUFFER_CAPACITY, *labels).set(settings.bus.buffer_bytes)


def _recorder(settings: Settings, around: ProcessParts) -> Recorder | None:
    """Return the recorder of a server, which outlives its services' failures; None if it is off."""
    if not settings.recorder.enabled:
        return None
    recorder = Recorder(
        settings.server_id,
        ids.random_id(ids.TOKEN_LENGTH),
        max_calls=settings.recorder.calls,
        max_bytes=settings.recorder.bytes_of_each(around.servers),
        masking=Masking(numbers=settings.recorder.mask_numbers),
    )
    around.metrics.read(table.RECORDED_CALLS, lambda: len(recorder), settings.server_id)
    around.metrics.read(table.RECORDED_BYTES, lambda: recorder.size, settings.server_id)
    return recorder


def _read_sockets(metrics: Metrics, server: ServerId, sockets: RestPool) -> None:
    metrics.read(table.COMMAND_WEBSOCKETS, lambda: sockets.opened, server)


def _bus_check(bus: Bus) -> Check:
    async def check() -> str:
        problem = bus.problem
        return problem.reason if problem else ""

    return check
