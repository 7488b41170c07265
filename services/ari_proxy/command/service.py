"""The command service: takes commands from the bus and answers them."""

import asyncio
from typing import Final

import structlog

from ari_proxy.admin.checks import Check, RememberedCheck
from ari_proxy.ari.availability import CommandWay
from ari_proxy.bus.base import Bus, Message
from ari_proxy.protocol import topics
from ari_proxy.protocol.ids import DialogId, ServerId
from ari_proxy.protocol.messages import DUMMY, Command, CommandResponse
from ari_proxy.settings.load import Settings
from ari_proxy.tap.tap import Tap
from ari_proxy.telemetry import metrics_table as table
from ari_proxy.telemetry.metrics import Metrics
from ari_proxy.telemetry.traces import Traces, answered, traceparent_of

from . import payloads
from .errors import RejectedError
from .executor import Executor
from .intake import CommandIntake
from .lanes import Lanes, LanesFullError, Turn
from .refusals import MAX_UNIQUE_ID, Refusals
from .responses import Responses
from .telemetry import CommandTelemetry

_log = structlog.get_logger()

#: Commands waiting to be refused, each for a round trip to the bus.
MAX_REFUSALS: Final = 10_000


class CommandService:
    """Executes the commands of one Asterisk's dialogs; any number of instances share the work."""

    def __init__(
        self,
        settings: Settings,
        bus: Bus,
        way: CommandWay,
        metrics: Metrics,
        *,
        tap: Tap,
        traces: Traces,
    ) -> None:
        self._settings = settings
        self._server = ServerId(settings.server_id)
        self._intake = CommandIntake(self._server, bus, way.availability, group=settings.bus.queue)
        self._telemetry = CommandTelemetry(self._server, metrics, tap, traces)
        self._refusals = Refusals(self._telemetry)
        self._responses = Responses(bus, self._refusals, self._telemetry)
        self._executor = Executor(settings, bus, way.client, self._refusals, self._telemetry)
        self._lanes: Lanes[Message] | None = None
        #: Commands above the capacity, until it is certain that no other executor has them.
        self._overflow: Lanes[Message] | None = None
        self._is_cut_off = False
        self._readiness = RememberedCheck(
            self._check_asterisk, subject=lambda: self._intake.is_open
        )
        metrics.read(table.COMMANDS_PENDING, lambda: self.pending, self._server)
        metrics.read(table.IN_FLIGHT, lambda: way.client.in_flight, self._server)
        limit = metrics.gauge(table.IN_FLIGHT_LIMIT, self._server)
        limit.set(settings.ari.max_connections)

    @property
    def pending(self) -> int:
        """Messages that wait or are being worked on."""
        return self._lanes.pending if self._lanes else 0

    @property
    def checks(self) -> dict[str, Check]:
        """Readiness checks of the service."""
        return {"asterisk": self._readiness}

    async def _check_asterisk(self) -> str:
        """Return why commands cannot be executed now, or ''; a standby is ready as well."""
        if self._intake.is_open:
            return await self._executor.check_asterisk()
        if await self._intake.is_open_elsewhere():
            return ""
        return "Asterisk has opened no websocket for commands, here or to another executor"

    async def run(self, stop: asyncio.Event) -> None:
        """Serve until `stop`, then finish the commands that were taken."""
        settings = self._settings
        async with asyncio.TaskGroup() as tasks:
            self._lanes = Lanes(
                tasks,
                self._work,
                capacity=settings.command.max_pending,
                holds_back=lambda message: payloads.may_create_channel(message.payload),
            )
            self._overflow = Lanes(tasks, self._work_off_overflow, capacity=MAX_REFUSALS)
            taking = tasks.create_task(self._intake.run(self._take))
            await stop.wait()
            await self._intake.release()
            taking.cancel()
            await asyncio.wait([taking])
            await self._drain(self._lanes, self._overflow)

    async def _drain(self, lanes: Lanes[Message], overflow: Lanes[Message]) -> None:
        """Wait for the commands that were taken; answer those that take too long."""
        try:
            async with asyncio.timeout(self._settings.runtime.drain_seconds):
                await overflow.wait_idle()
                await lanes.wait_idle()
        except TimeoutError:
            _log.warning("drain.incomplete", commands=lanes.pending)
            self._is_cut_off = True
            for each in (overflow, lanes):
                each.cancel_work()
                await each.wait_idle()

    # Taking messages

    def _take(self, message: Message) -> None:
        if message.payload == DUMMY or self._lanes is None or self._overflow is None:
            # go-ari-proxy's library creates the topic with it.
            # seed: on RabbitMQ it executes it as GET /ari, and its answer shifts all later ones.
            message.ack()
            return
        owner = topics.owner_of(message.topic)
        lane = owner if owner != self._server else message.reply or owner
        # Commands of the server keep their order, and a command that need not wait overtakes none.
        may_overtake = owner != self._server and self._lanes.is_waiting(lane)
        is_urgent = may_overtake and payloads.is_urgent(message.payload)
        try:
            self._lanes.put(lane, message, urgent=is_urgent)
        except LanesFullError:
            self._refuse_later(lane, message, self._overflow)

    def _refuse_later(self, lane: str, message: Message, overflow: Lanes[Message]) -> None:
        try:
            overflow.put(lane, message)
        except LanesFullError:
            message.ack()  # Too many to be certain of each one.
            self._refuse(message)

    async def _work_off_overflow(self, _lane: str, message: Message, _turn: Turn) -> None:
        if await message.ack():  # Else it comes again, here or elsewhere, and is answered there.
            self._refuse(message)

    def _refuse(self, message: Message) -> None:
        """Answer each command of a message for which there is no capacity."""
        limit = self._settings.command.max_pending
        error = RejectedError(
            503, "overload", f"{limit} commands are pending already, which is the limit"
        )
        try:
            commands = payloads.commands_of(message.payload)
        except RejectedError:
            commands = [Command()]
        refusals = [self._refusals.response(command.unique_id, error) for command in commands]
        self._respond_all(message, refusals)

    def _respond_all(self, message: Message, responses: list[CommandResponse]) -> None:
        for response in responses:
            self._responses.respond(_owner_of(message), response)
        self._responses.reply(message, responses)

    # Executing commands

    async def _work(self, _lane: str, message: Message, turn: Turn) -> None:
        if not await message.ack():
            # It comes again, here or elsewhere, unless the bus had the acknowledgement. That can't
            # be known here, and an answer would be one too many if it comes.
            return
        try:
            commands = payloads.commands_of(message.payload)
        except RejectedError as error:
            _log.warning("command.malformed", topic=message.topic, error=str(error))
            self._respond_all(message, [self._refusals.response("", error)])
            return
        responses = []
        for command in commands:
            response = await self._execute(command, message, turn)
            responses.append(response)
        self._responses.reply(message, responses)

    async def _execute(self, command: Command, message: Message, turn: Turn) -> CommandResponse:
        """Execute a command and publish its response, whatever happens."""
        owner = _owner_of(message)
        parent = message.traceparent or command.traceparent or ""
        with self._telemetry.command(owner, command, parent) as span:
            try:
                self._check_admissible(command)
                response = await self._executor.execute(command, owner)
            except (asyncio.CancelledError, Exception) as error:  # noqa: BLE001  one command's failure must not end those of other calls
                refusal = self._refusal_of(error, command, owner)
                response = self._refusals.response(command.unique_id, refusal)
            response = self._responses.limit_size(response)
            if not command.unique_id:
                await turn.wait()  # A client without ids takes the responses in their order.
            answered(span, response.status_code)
            self._responses.respond(owner, response, traceparent=traceparent_of(span))
        return response

    def _check_admissible(self, command: Command) -> None:
        if len(command.unique_id) > MAX_UNIQUE_ID:
            message = f"the unique_id has more than {MAX_UNIQUE_ID} characters"
            raise RejectedError(400, "unique_id", message)
        if self._is_cut_off:
            raise RejectedError(503, "drain", "the proxy is stopping")

    def _refusal_of(
        self, error: BaseException, command: Command, owner: DialogId | ServerId
    ) -> RejectedError:
        """Return why a command has no response; raise a cancellation that is not the drain's."""
        if isinstance(error, RejectedError):
            return error
        if isinstance(error, asyncio.CancelledError):
            if not self._is_cut_off:
                raise error
            message = "the proxy stopped before Asterisk answered"
            return RejectedError(504, "drain", message, sent=True)
        _log.exception("command.failed", owner=owner, method=command.method)
        message = "the proxy failed to execute the command; its log has the error"
        return RejectedError(500, "internal", message, sent=True)


def _owner_of(message: Message) -> DialogId | ServerId:
    """Return the dialog or the server whose command it is."""
    return DialogId(topics.owner_of(message.topic))
