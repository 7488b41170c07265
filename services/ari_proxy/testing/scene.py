"""What one call under test consists of: Asterisk, the proxy, the handler and the phone."""

import asyncio
from contextlib import AsyncExitStack
from typing import Any, Final, Protocol

from ari_proxy.bus.base import Bus
from ari_proxy.bus.memory.bus import MemoryBroker
from ari_proxy.simulator.ari import SimulatedAri
from ari_proxy.simulator.exchange import Exchange
from ari_proxy.simulator.model import event_text

from .caller import Caller
from .changes import Changes
from .endpoints import CallParts, Endpoints
from .failures import FailingClient, PlannedFailures
from .handler_run import CallHandler, HandlerRun
from .interruption import Interruption
from .line import Line
from .phone import Phone
from .proxy import APPLICATION, SERVER, InProcessProxy
from .record import CallRecord
from .simulated_line import SimulatedLine


class Scene(Protocol):
    """The parts of one call, which run between `start` and the end of its stack."""

    run: HandlerRun
    phone: Phone
    endpoints: Endpoints

    @property
    def application(self) -> str:
        """The Stasis application."""
        ...

    @property
    def line(self) -> Line:
        """Where the caller calls."""
        ...

    async def start(self, stack: AsyncExitStack) -> None:
        """Run until `stack` is closed."""


class SimulatedScene:
    """The parts of one call without Asterisk; none of them runs yet."""

    application: Final = APPLICATION

    def __init__(  # noqa: PLR0913  all that a call consists of
        self,
        tasks: asyncio.TaskGroup,
        bus: Bus,
        broker: MemoryBroker,
        handler: CallHandler,
        *,
        playback_seconds: float,
        deadline_seconds: float,
        interruption: Interruption,
    ) -> None:
        """Make the parts.

        Args:
            tasks: runs the proxy and what happens in Asterisk.
            bus: of the proxy.
            broker: that it is connected to.
            handler: under test.
            playback_seconds: the length of every sound.
            deadline_seconds: for an expectation.
            interruption: see `Interruption`.
        """
        changes, failures, record = Changes(), PlannedFailures(), CallRecord(SERVER, bus)
        self._caller, self._changes = Caller(), changes
        exchange = Exchange(tasks, self._emit, playback_seconds=playback_seconds)
        ari = SimulatedAri(exchange, self._emit, {APPLICATION})
        self._interruption = interruption
        self._record = record
        self.run = HandlerRun(handler, changes.note)
        own = FailingClient(ari, PlannedFailures(), after=changes.note)
        commands = FailingClient(ari, failures, interrupt=self._interrupt, after=changes.note)
        self.proxy = InProcessProxy(tasks, bus, record, own_requests=own, commands=commands)
        self.line = SimulatedLine(exchange, self.proxy, self._caller, changes)
        parts = CallParts(
            line=self.line,
            caller=self._caller,
            changes=changes,
            broker=broker,
            failures=failures,
            record=record,
            deadline_seconds=deadline_seconds,
        )
        self.phone = Phone(parts, tasks=tasks, handler=self.run)
        self.endpoints = Endpoints(parts)

    async def start(self, stack: AsyncExitStack) -> None:
        """Run the proxy until `stack` is closed."""
        await self.proxy.start(stack)

    async def _interrupt(self, moment: str) -> None:
        await self._interruption(self.phone, moment)

    async def _emit(self, app: str, event_type: str, **fields: Any) -> None:
        text = event_text(app, event_type, fields)
        self._record.add_event(event_type, text)
        self.proxy.take(text)
        self._caller.take(event_type, fields)
        self._changes.note()
