"""The command service: takes commands off the bus and answers them."""

import asyncio
from typing import Final

import structlog
from opentelemetry.trace import SpanKind

from ari_proxy.admin.checks import Check
from ari_proxy.ari.errors import TransportError
from ari_proxy.ari.rest import RestClient
from ari_proxy.bus.base import Bus, Message
from ari_proxy.command.authorization.authorizer import Guard
from ari_proxy.protocol import messages, topics
from ari_proxy.protocol.errors import MalformedMessageError
from ari_proxy.protocol.ids import DialogId, ServerId
from ari_proxy.protocol.messages import DUMMY, MAX_COMMANDS, Command, CommandResponse
from ari_proxy.settings.load import Settings
from ari_proxy.tap.tap import Tap
from ari_proxy.telemetry import metrics as table
from ari_proxy.telemetry.metrics import Metrics
from ari_proxy.telemetry.traces import Traces, answered, traceparent_of

from .errors import RejectedError
from .executor import MAX_UNIQUE_ID, Executor
from .lanes import Lanes, LanesFullError, Turn, creates_channel, is_hang_up

_log = structlog.get_logger()

#: Why a request to Asterisk fails.
FAILURE_REASONS: Final = ("unreachable", "timeout", "too_large")
#: Commands that wait to be refused; they do for as long as a round trip to the bus takes.
MAX_REFUSALS: Final = 10_000
#: What a character may become in JSON, as `<` does: a backslash, u and four digits.
LARGEST_CHARACTER_BYTES: Final = 6


class CommandService:
    """Executes the commands of one Asterisk's dialogs; any number of instances share the work."""

    def __init__(
        self,
        settings: Settings,
        bus: Bus,
        rest: RestClient,
        metrics: Metrics,
        *,
        tap: Tap,
        traces: Traces,
    ) -> None:
        self._settings = settings
        self._server = ServerId(settings.server_id)
        self._bus = bus
        self._rest = rest
        guard = Guard(self._server, bus, settings.command)
        self._tap = tap
        self._traces = traces
        self._executor = Executor(
            self._server,
            rest,
            bus,
            guard,
            metrics=metrics,
            tap=tap,
            traces=traces,
            dialog_form=settings.bus.dialog_form,
        )
        self._lanes: Lanes[Message] | None = None
        #: What there was no room for, until it is certain that nobody else executes it.
        self._refusals: Lanes[Message] | None = None
        self._is_cut_off = False
        metrics.read(table.COMMANDS_PENDING, lambda: self.pending, self._server)
        metrics.read(table.IN_FLIGHT, lambda: rest.in_flight, self._server)
        for reason in FAILURE_REASONS:  # Begun at zero: the first one is a rise, too.
            metrics.counter(table.REQUEST_FAILURES, self._server, reason)
        limit = metrics.gauge(table.IN_FLIGHT_LIMIT, self._server)
        limit.set(settings.ari.max_connections)

    @property
    def pending(self) -> int:
        """Messages that wait or run."""
        return self._lanes.pending if self._lanes else 0

    async def run(self, stop: asyncio.Event) -> None:
        """Serve until `stop`, then finish what was taken."""
        settings = self._settings
        async with asyncio.TaskGroup() as tasks:
            self._lanes = Lanes(
                tasks,
                self._work,
                capacity=settings.command.max_pending,
                holds_back=_creates_channel,
            )
            self._refusals = Lanes(tasks, self._take_refused, capacity=MAX_REFUSALS)
            group = settings.bus.queue
            of_dialogs = await self._bus.subscribe(
                topics.commands_of_all_dialogs(self._server),
                self._take,
                group=group,
                manual_ack=True,
            )
            of_server = await self._bus.subscribe(
                topics.commands(self._server), self._take, group=group, manual_ack=True
            )
            await stop.wait()
            await of_dialogs.unsubscribe()
            await of_server.unsubscribe()
            await self._finish(self._lanes, self._refusals)

    async def _finish(self, lanes: Lanes[Message], refusals: Lanes[Message]) -> None:
        """Give what was taken its time, then answer what is left: it has no result."""
        try:
            async with asyncio.timeout(self._settings.runtime.drain_seconds):
                await refusals.wait_idle()
                await lanes.wait_idle()
        except TimeoutError:
            _log.warning("drain.incomplete", commands=lanes.pending)
            self._is_cut_off = True
            for each in (refusals, lanes):
                each.cancel_work()
                await each.wait_idle()

    def _take(self, message: Message) -> None:
        if message.payload == DUMMY or self._lanes is None or self._refusals is None:
            # go-ari-proxy's library brings the topic into being with it.
            # seed: on RabbitMQ it executes it as GET /ari, and its answer shifts all later ones.
            message.ack()
            return
        owner = topics.owner_of(message.topic)
        lane = owner if owner != self._server else message.reply or owner
        # What is not of a dialog keeps its order, and what need not wait overtakes nothing.
        may_overtake = owner != self._server and self._lanes.is_waiting(lane)
        try:
            self._lanes.put(lane, message, urgent=may_overtake and _is_urgent(message.payload))
        except LanesFullError:
            self._refuse(lane, message, self._refusals)

    def _refuse(self, lane: str, message: Message, refusals: Lanes[Message]) -> None:
        try:
            refusals.put(lane, message)
        except LanesFullError:
            message.ack()  # Too many to be certain of each one.
            self._answer_refusal(message)

    async def _take_refused(self, _lane: str, message: Message, _turn: Turn) -> None:
        if await message.ack():  # Else it comes again, here or elsewhere, and is answered there.
            self._answer_refusal(message)

    def _answer_refusal(self, message: Message) -> None:
        """Answer what there is no room for."""
        limit = self._settings.command.max_pending
        error = RejectedError(503, "overload", f"{limit} commands are pending already")
        try:
            commands = _commands_of(message)
        except RejectedError:
            commands = [Command()]
        refusals = [self._executor.refuse(command.unique_id, error) for command in commands]
        self._answer(topics.owner_of(message.topic), message, refusals)

    async def _work(self, _lane: str, message: Message, turn: Turn) -> None:
        if not await message.ack():
            return  # The bus has taken it back: it comes again, here or elsewhere.
        owner = topics.owner_of(message.topic)
        try:
            commands = _commands_of(message)
        except RejectedError as error:
            _log.warning("command.malformed", topic=message.topic, error=str(error))
            self._answer(owner, message, [self._executor.refuse("", error)])
            return
        responses = []
        for command in commands:
            if self._tap.is_on:
                self._tap.copy("command", owner, messages.encode(command))
            responses.append(await self._traced(owner, command, message, turn))
        self._reply(message, responses)

    async def _traced(
        self, owner: str, command: Command, message: Message, turn: Turn
    ) -> CommandResponse:
        """Execute a command and publish its response, in a span where traces are on."""
        if not self._traces.is_on:
            response = await self._outcome(owner, command, turn)
            self._publish(owner, response)
            return response
        parent = message.traceparent or command.traceparent or ""
        name = f"command {command.method.upper()}"
        with self._traces.span(
            name,
            SpanKind.CONSUMER,
            parent=parent,
            messaging__destination__name=topics.commands(ServerId(owner)),
            messaging__operation__type="process",
            ari_proxy__dialog_id=owner,
        ) as span:
            response = await self._outcome(owner, command, turn)
            answered(span, response.status_code)
            self._publish(owner, response, traceparent_of(span))
            return response

    async def _outcome(self, owner: str, command: Command, turn: Turn) -> CommandResponse:
        response = self._fitting(await self._execute(owner, command))
        if not command.unique_id:
            await turn.wait()  # A client without ids takes the responses in their order.
        return response

    def _answer(self, owner: str, message: Message, responses: list[CommandResponse]) -> None:
        for response in responses:
            self._publish(owner, response)
        self._reply(message, responses)

    def _publish(self, owner: str, response: CommandResponse, traceparent: str = "") -> None:
        # A client without ids takes the responses in their order: one too many shifts all others.
        once = not response.unique_id
        payload = messages.encode(response)
        topic = topics.responses(DialogId(owner))
        self._bus.publish(topic, payload, once=once, traceparent=traceparent)
        if self._tap.is_on:
            self._tap.copy("response", owner, payload)

    def _reply(self, message: Message, responses: list[CommandResponse]) -> None:
        """Answer a command that was published as a request on its reply subject as well."""
        if not message.reply:
            return
        if message.payload.lstrip()[:1] != b"[":
            self._bus.publish(message.reply, messages.encode(responses[0]))
            return
        self._bus.publish(message.reply, self._encoded(responses))

    def _encoded(self, responses: list[CommandResponse]) -> bytes:
        """Return the responses as an array that fits into a message, or one that says why not."""
        return (
            self._array(responses)
            or self._array([self._too_large(response) for response in responses])
            or messages.encode_all([self._too_many(len(responses))])
        )

    def _array(self, responses: list[CommandResponse]) -> bytes:
        """Return responses as a JSON array, or b"" if it does not fit into a message."""
        limit = self._bus.max_message_bytes
        # Characters are bytes at least: what can't fit is not encoded to see it.
        if sum(len(response.response_body) for response in responses) > limit:
            return b""
        array = messages.encode_all(responses)
        return array if len(array) <= limit else b""

    def _too_many(self, count: int) -> CommandResponse:
        message = f"the answers to {count} commands are more than the bus takes in one message"
        return self._executor.refuse("", RejectedError(502, "too_large", message, sent=True))

    def _fitting(self, response: CommandResponse) -> CommandResponse:
        """Return the response, or one that fits into a message: the client has to get some."""
        limit = self._bus.max_message_bytes
        if len(response.response_body) * LARGEST_CHARACTER_BYTES < limit // 2:
            return response
        return response if len(messages.encode(response)) <= limit else self._too_large(response)

    def _too_large(self, response: CommandResponse) -> CommandResponse:
        message = f"Asterisk answered {response.status_code} with more than the bus takes"
        error = RejectedError(502, "too_large", message, sent=True)
        return self._executor.refuse(response.unique_id, error)

    async def _execute(self, owner: str, command: Command) -> CommandResponse:
        """Return the response of one command, whatever happens."""
        if len(command.unique_id) > MAX_UNIQUE_ID:
            message = f"its unique_id has more than {MAX_UNIQUE_ID} characters"
            return self._executor.refuse(
                command.unique_id, RejectedError(400, "unique_id", message)
            )
        if self._is_cut_off:
            error = RejectedError(503, "drain", "the proxy is stopping")
            return self._executor.refuse(command.unique_id, error)
        try:
            if owner == self._server:
                return await self._executor.execute_for_server(command)
            return await self._executor.execute(command, DialogId(owner))
        except asyncio.CancelledError:
            if not self._is_cut_off:
                raise
            message = "the proxy stopped before Asterisk answered"
            error = RejectedError(504, "drain", message, sent=True)
        except Exception:  # noqa: BLE001  it must not end the commands of other calls
            _log.exception("command.failed", owner=owner, method=command.method)
            error = RejectedError(
                500, "internal", "the proxy has failed; its log says how", sent=True
            )
        return self._executor.refuse(command.unique_id, error)

    @property
    def checks(self) -> dict[str, Check]:
        """What has to be true for commands to work."""
        return {"asterisk": self._check_asterisk}

    async def _check_asterisk(self) -> str:
        try:
            answer = await self._rest.request("GET", "/asterisk/ping", timeout_seconds=1)
        except TransportError as error:
            return str(error)
        return "" if answer.status == 200 else f"Asterisk answers {answer.status}"  # noqa: PLR2004


def _commands_of(message: Message) -> list[Command]:
    """Return what a message has to be executed, or raise RejectedError."""
    try:
        commands = messages.decode_commands(message.payload)
    except MalformedMessageError as error:
        raise RejectedError(400, "malformed", str(error)) from error
    if len(commands) > MAX_COMMANDS:  # So many of them, even refused, hold the others up.
        text = f"an array has at most {MAX_COMMANDS} commands, this one has {len(commands)}"
        raise RejectedError(413, "too_large", text)
    return commands


def _creates_channel(message: Message) -> bool:
    """Return whether a message has a command that may create a channel."""
    try:
        return any(map(creates_channel, _commands_of(message)))
    except RejectedError:
        return False


def _is_urgent(payload: bytes) -> bool:
    """Return whether a message is one command, a hang-up; an array keeps its own order."""
    if b"delete" not in payload.lower() or payload.lstrip()[:1] == b"[":
        return False
    try:
        return is_hang_up(messages.decode_commands(payload)[0])
    except MalformedMessageError:
        return False
