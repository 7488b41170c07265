"""What one call under test consists of on a real Asterisk, with the proxy in this process."""

import asyncio
from contextlib import AsyncExitStack
from typing import Any, Final

from ari_proxy.ari.availability import CommandWay
from ari_proxy.ari.client import Answer
from ari_proxy.bus.base import Bus
from ari_proxy.bus.memory.bus import MemoryBroker
from ari_proxy.client.application import Application
from ari_proxy.client.call import Call
from ari_proxy.client.events import Event
from ari_proxy.client.handling import handle
from ari_proxy.command.service import CommandService
from ari_proxy.connections import factories
from ari_proxy.embedded import embedded_settings
from ari_proxy.ingest.parts import Surroundings
from ari_proxy.ingest.service import IngestService
from ari_proxy.protocol import ids
from ari_proxy.protocol.ids import ServerId
from ari_proxy.telemetry.metrics import Metrics
from ari_proxy.telemetry.traces import Traces

from .asterisk_line import LOOK_SECONDS, AsteriskLine
from .asterisk_record import AsteriskRecord
from .caller import Caller
from .changes import Changes
from .created import Created
from .endpoints import CallParts, Endpoints
from .failures import FailingClient, PlannedFailures
from .handler_run import CallHandler, HandlerRun
from .interruption import Interruption
from .phone import Phone
from .planned_endpoint import play
from .planned_endpoints import PlannedEndpoints

#: Seconds for Asterisk to know the applications.
REGISTRATION_SECONDS: Final = 30.0
_OK: Final = 200


class AsteriskScene:
    """The parts of one call on a real Asterisk; none of them runs yet."""

    def __init__(  # noqa: PLR0913  all that a call consists of
        self,
        tasks: asyncio.TaskGroup,
        bus: Bus,
        broker: MemoryBroker,
        handler: CallHandler,
        *,
        url: str,
        deadline_seconds: float,
        interruption: Interruption,
    ) -> None:
        """Make the parts.

        Args:
            tasks: runs the proxy and what the caller does.
            bus: of the proxy.
            broker: that it is connected to.
            handler: under test.
            url: of Asterisk, like `ari://user:password@host:8088`.
            deadline_seconds: for an expectation.
            interruption: see `Interruption`.

        Raises:
            Misconfigured: the URL can't be used.
        """
        token = ids.random_id(ids.TOKEN_LENGTH)
        #: Of this call alone: others may run on the same Asterisk.
        self.application = f"tested-{token}"
        self._callers = f"callers-{token}"
        self._settings = embedded_settings(url, self.application).model_copy(
            update={"applications": (self.application, self._callers)}
        )
        self._tasks = tasks
        self._bus = bus
        self._planned = PlannedEndpoints(self._callers)
        self._caller = Caller(self._planned.endpoint_of)
        self._changes, self._created = Changes(), Created()
        server = ServerId(self._settings.server_id)
        self._record = AsteriskRecord(server, bus, self.application, self._hear)
        self._interruption = interruption
        self._failures = PlannedFailures()
        self._rest = factories.rest_client(self._settings)
        self.run = HandlerRun(handler, self._changes.note)
        self.line = AsteriskLine(
            self._rest,
            tasks,
            application=self.application,
            callers=self._callers,
            caller=self._caller,
            changes=self._changes,
            created=self._created,
            planned=self._planned,
        )
        parts = CallParts(
            line=self.line,
            caller=self._caller,
            changes=self._changes,
            broker=broker,
            failures=self._failures,
            record=self._record,
            deadline_seconds=deadline_seconds,
        )
        self.phone = Phone(parts, tasks=tasks, handler=self.run)
        self.endpoints = Endpoints(parts)

    async def start(self, stack: AsyncExitStack) -> None:
        """Run the proxy until `stack` is closed, which also ends what is left of the call.

        Raises:
            TimeoutError: Asterisk does not know the applications in time.
        """
        await stack.enter_async_context(self._rest)
        stack.push_async_callback(self.line.clean_up)
        settings, metrics, traces = self._settings, Metrics(), Traces()
        around = Surroundings(
            settings=settings,
            bus=self._bus,
            rest=self._rest,
            metrics=metrics,
            tap=self._record,
            traces=traces,
        )
        ingest = IngestService(around, factories.event_socket(settings))
        commands = FailingClient(
            self, self._failures, interrupt=self._interrupt, after=self._changes.note
        )
        command = CommandService(
            settings, self._bus, CommandWay(commands), metrics, tap=self._record, traces=traces
        )
        callers = Application(self._bus, self._callers, self._serve_far)
        for service in (ingest, command, callers):
            self._tasks.create_task(service.run(asyncio.Event()))
        async with asyncio.timeout(REGISTRATION_SECONDS):
            while not await self._is_registered():  # noqa: ASYNC110  Asterisk tells nobody
                await asyncio.sleep(LOOK_SECONDS)

    async def _is_registered(self) -> bool:
        paths = [f"/applications/{name}" for name in self._settings.applications]
        return all([(await self._rest.request("GET", path)).status == _OK for path in paths])

    async def request(self, method: str, url: str, body: str = "") -> Answer:
        """Send a request of the application, and note what it creates."""
        url, body = self._planned.redirected(method, url, body)
        answer = await self._rest.request(method, url, body)
        self._created.note(method, url, answer)
        return answer

    async def _interrupt(self, moment: str) -> None:
        await self._interruption(self.phone, moment)

    async def _serve_far(self, call: Call) -> None:
        """Serve the half of a channel that is a phone's."""
        if self.line.is_own(call.channel_id):
            await self._hold(call)
        else:
            await handle(self._play, call)

    async def _play(self, call: Call) -> None:
        """Do what is planned of an endpoint."""
        plan = self._planned.plan_of(call.dialplan.exten)
        if plan is not None:
            await play(call, plan)

    async def _hold(self, call: Call) -> None:
        """Serve the caller's own half until this is cancelled with all of it."""
        with call.following(self._hear_own):
            self.line.enter()
            await asyncio.Event().wait()

    def _hear_own(self, event: Event) -> None:
        self.line.hear(event.type, event.body)

    def _hear(self, event_type: str, body: dict[str, Any]) -> None:
        """Handle an event of the application."""
        self._caller.take(event_type, body)
        self._changes.note()
