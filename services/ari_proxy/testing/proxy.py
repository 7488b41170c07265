"""The proxy of a call under test: ingest's and command's own parts on a bus in memory."""

import asyncio
import time
from contextlib import AsyncExitStack
from typing import Final

from ari_proxy.ari.availability import CommandWay
from ari_proxy.ari.client import AriClient
from ari_proxy.bus.base import Bus
from ari_proxy.command.service import CommandService
from ari_proxy.ingest.parts import Surroundings
from ari_proxy.ingest.routing.proxy_events import GAP, Gap
from ari_proxy.ingest.wiring import wire
from ari_proxy.protocol import topics
from ari_proxy.protocol.ids import ServerId
from ari_proxy.settings.load import Settings
from ari_proxy.telemetry.metrics import Metrics
from ari_proxy.telemetry.traces import Traces

from .record import CallRecord

SERVER: Final = ServerId("asterisk")
APPLICATION: Final = "tested"


class _Permitted:
    """There is no other ingest."""

    def is_valid(self) -> bool:
        """Return True."""
        return True


class InProcessProxy:
    """Routes the simulated Asterisk's events to dialogs, and executes their commands."""

    def __init__(
        self,
        tasks: asyncio.TaskGroup,
        bus: Bus,
        record: CallRecord,
        *,
        own_requests: AriClient,
        commands: AriClient,
    ) -> None:
        """Initialise a proxy that has not started.

        Args:
            tasks: runs its work.
            bus: of the events and commands.
            record: gets a copy of each message.
            own_requests: sends the proxy's own requests to Asterisk.
            commands: sends those of the handler.
        """
        # Not validated, which would read the environment of who runs the tests.
        settings = Settings.model_construct(server_id=SERVER, applications=(APPLICATION,))
        metrics, traces = Metrics(), Traces()
        self._tasks = tasks
        self._bus = bus
        self._parts = wire(
            Surroundings(
                settings=settings,
                bus=bus,
                rest=own_requests,
                metrics=metrics,
                tap=record,
                traces=traces,
            ),
            tasks,
            permit=_Permitted(),
        )
        self._command = CommandService(
            settings, bus, CommandWay(commands), metrics, tap=record, traces=traces
        )

    async def start(self, stack: AsyncExitStack) -> None:
        """Subscribe to what executors ask ingest, and to commands; `stack` ends that."""
        registrations = self._parts.registrations
        for topic, handler in (
            (topics.bindings(SERVER), registrations.on_binding),
            (topics.owners(SERVER), registrations.on_question),
        ):
            subscription = await self._bus.subscribe(topic, handler)
            stack.push_async_callback(subscription.unsubscribe)
        self._tasks.create_task(self._command.run(asyncio.Event()))

    def take(self, event: str) -> None:
        """Handle an event of Asterisk."""
        self._parts.pipeline.on_frame(event.encode())

    def report_gap(self, channel_id: str) -> None:
        """Tell the application of a channel that events may be missing.

        Raises:
            KeyError: the channel has no dialog any more.
        """
        dialog = self._parts.dialogs.objects.channels[channel_id]
        gap = Gap("websocket_lost").event(dialog.application, time.time())
        self._parts.stream.notify(dialog, GAP, gap)
