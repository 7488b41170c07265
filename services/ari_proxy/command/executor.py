"""The executor: one command → checked, named, registered, sent → exactly one response."""

import time
from typing import Final, NamedTuple

import msgspec
import structlog
from opentelemetry.trace import SpanKind

from ari_proxy.ari import operations, urls
from ari_proxy.ari.errors import IllegalUrlError, TransportError
from ari_proxy.ari.rest import MAX_BODY_BYTES, Answer, RestClient
from ari_proxy.bus.base import Bus
from ari_proxy.bus.errors import BusError
from ari_proxy.command.authorization.authorizer import Guard
from ari_proxy.command.authorization.object_refs import Touched, deleted_recording, new_recording
from ari_proxy.protocol import ids, messages, topics
from ari_proxy.protocol.errors import IllegalSubjectTokenError
from ari_proxy.protocol.ids import DialogForm, DialogId, RandomId, ServerId
from ari_proxy.protocol.malformed import UNDECODABLE
from ari_proxy.protocol.messages import (
    Command,
    CommandResponse,
    ObjectRegistration,
    RegistrationReply,
    ServerCommandResponse,
)
from ari_proxy.tap.tap import Tap
from ari_proxy.telemetry import metrics as table
from ari_proxy.telemetry.metrics import Metrics
from ari_proxy.telemetry.traces import Traces, answered

from .errors import RejectedError
from .naming import Named, NewObject, name_object
from .parameters import parameter

_log = structlog.get_logger()
_METHODS: Final = frozenset({"GET", "POST", "PUT", "DELETE"})
#: Seconds for ingest to acknowledge a client's id.
REGISTRATION_SECONDS: Final = 2.0
#: Of an answer to a command: NATS's own limit of a message. RabbitMQ takes 16 MiB, but to read,
#: decode and encode so much holds all other calls up.
MAX_ANSWER_BYTES: Final = 1 << 20
#: Characters; a command's id comes back in its response, which has to fit into a message.
MAX_UNIQUE_ID: Final = 1024
_bound_decoder: Final = msgspec.json.Decoder(RegistrationReply)
#: From this status on Asterisk has not done what was asked.
_FAILED: Final = 400


class _Request(NamedTuple):
    """A command that passed all checks."""

    method: str
    template: str
    named: Named
    #: What ingest has to know once it is done.
    deletes: ObjectRegistration | None = None


class Executor:
    """Executes commands, each at most once."""

    def __init__(  # noqa: PLR0913  all that a command meets
        self,
        server: ServerId,
        rest: RestClient,
        bus: Bus,
        guard: Guard,
        *,
        metrics: Metrics,
        tap: Tap,
        traces: Traces,
        dialog_form: DialogForm,
        random: RandomId = ids.random_id,
    ) -> None:
        self._server = server
        self._rest = rest
        self._bus = bus
        self._guard = guard
        self._metrics = metrics
        self._tap = tap
        self._traces = traces
        self._dialog_form = dialog_form
        self._random = random
        self._duration = metrics.histogram(table.COMMAND_SECONDS, server)

    async def execute(self, command: Command, dialog_id: DialogId) -> CommandResponse:
        """Execute a command of a dialog and return its response, whatever happens."""
        status, body = await self._outcome(command, dialog_id)
        return CommandResponse(command.unique_id, status, body)

    async def execute_for_server(self, command: Command) -> ServerCommandResponse:
        """Execute a command that belongs to no dialog; a channel that it creates gets one.

        That is the dialog of the client's choice, to which the client listens, or else a new one
        that is announced to the channel's application like any call.
        """
        try:
            dialog_id = self._dialog_of(command)
        except IllegalSubjectTokenError as error:
            rejected = self._reject(RejectedError(400, "dialog_id", str(error)))
            return ServerCommandResponse(command.unique_id, *rejected)
        try:
            application = "" if command.dialog_id else _application_of(command)
        except RejectedError as error:
            return ServerCommandResponse(command.unique_id, *self._reject(error))
        begins = bool(command.dialog_id or application)
        status, body = await self._outcome(
            command,
            dialog_id,
            begins_dialog=begins,
            announce_to=application,
            for_server=True,
        )
        return ServerCommandResponse(command.unique_id, status, body, dialog_id if begins else "")

    def _dialog_of(self, command: Command) -> DialogId:
        if not command.dialog_id:
            return ids.new_dialog_id(self._server, self._random, form=self._dialog_form)
        dialog_id = ids.dialog_id(self._server, command.dialog_id)
        if self._bus.queues is None and ids.form_of(dialog_id) == "uuid":
            reason = "on NATS it must be <server_id>.<token>: nobody would get its commands"
            raise IllegalSubjectTokenError("dialog_id", dialog_id, reason)
        return dialog_id

    def refuse(self, unique_id: str, error: RejectedError) -> CommandResponse:
        """Return the response to what can't be executed."""
        return CommandResponse(unique_id[:MAX_UNIQUE_ID], *self._reject(error))

    async def _outcome(
        self,
        command: Command,
        dialog_id: DialogId,
        *,
        begins_dialog: bool = False,
        announce_to: str = "",
        for_server: bool = False,
    ) -> tuple[int, str]:
        started_at = time.monotonic()
        try:
            request = await self._check(command, dialog_id, for_server=for_server)
            binding = _binding(request.named, dialog_id, announce_to, begins_dialog=begins_dialog)
            if binding is None:
                answer = await self._send(request, dialog_id)
            else:
                answer = await self._create(request, binding)
            if request.deletes is not None and answer.status < _FAILED:
                await self._release(request.deletes)
        except RejectedError as error:
            return self._reject(error)
        except TransportError as error:
            self._metrics.counter(table.REQUEST_FAILURES, self._server, error.reason).inc()
            return error.status_code, _explain(error.reason, str(error), sent=error.sent)
        self._count(request.method, request.template, answer.status)
        self._duration.observe(time.monotonic() - started_at)
        return answer.status, answer.body

    async def _check(self, command: Command, dialog_id: DialogId, *, for_server: bool) -> _Request:
        method = command.method.upper()
        if method not in _METHODS:
            allowed = ", ".join(sorted(_METHODS))
            raise RejectedError(405, "method", f"method {command.method!r} is none of {allowed}")
        try:
            url = urls.parse(command.url)
        except IllegalUrlError as error:
            raise RejectedError(400, "url", str(error)) from error
        if command.body and len(command.body.encode(errors="surrogatepass")) > MAX_BODY_BYTES:
            raise RejectedError(413, "body", f"Asterisk takes {MAX_BODY_BYTES} bytes of body")
        template = operations.template_of(url.path)
        owner = None if for_server else dialog_id
        await self._guard.check(method, template, url, command.body, owner)
        token = ids.token_of_dialog(dialog_id)
        named = name_object(method, template, url, command.body, token, random=self._random)
        if self._guard.registers_recordings:
            name = new_recording(method, template, url, command.body)
            recording = NewObject("recording", name, needs_registration=True) if name else None
            named = named._replace(creates=named.creates or recording)
        return _Request(method, template, named, self._deletes(method, template, url, dialog_id))

    def _deletes(
        self, method: str, template: str, url: urls.AriUrl, dialog_id: DialogId
    ) -> ObjectRegistration | None:
        name = deleted_recording(method, template, url)
        if not name or not self._guard.registers_recordings:
            return None
        return ObjectRegistration(dialog_id, "recording", name, release=True)

    async def _create(self, request: _Request, binding: ObjectRegistration) -> Answer:
        """Send a request for an object of whose name ingest has to know."""
        dialog_id = DialogId(binding.dialog_id)
        is_new, is_refused = await self._register(binding), False
        try:
            await self._guard.check_new(Touched(binding.kind, binding.object_id), dialog_id)
            answer = await self._send(request, dialog_id)
            is_refused = answer.status >= _FAILED
        except (RejectedError, TransportError) as error:
            is_refused = not error.sent
            raise
        finally:
            if is_new and is_refused:
                await self._release(msgspec.structs.replace(binding, release=True))
        return answer

    async def _register(self, binding: ObjectRegistration) -> bool:
        """Tell ingest of an object, or a dialog, that it can't know, before any event can come.

        Returns whether the object is the dialog's by this alone.
        """
        try:
            answer = await self._bus.request(
                topics.bindings(self._server),
                messages.encode(binding),
                timeout_seconds=REGISTRATION_SECONDS,
            )
            bound = _bound_decoder.decode(answer)
        except (BusError, *UNDECODABLE) as error:
            message = f"ingest could not be told of {binding.kind} {binding.object_id}: {error}"
            raise RejectedError(503, "registration", message) from error
        if bound.error:
            raise RejectedError(400, "registration", bound.error)
        return bound.is_new

    async def _release(self, binding: ObjectRegistration) -> None:
        """Have ingest forget a name, before the client knows that it is free."""
        try:
            await self._register(binding)
        except RejectedError as error:  # The command is done: its answer stays.
            _log.warning("release.failed", name=binding.object_id, error=str(error))

    async def _send(self, request: _Request, dialog_id: DialogId) -> Answer:
        if self._tap.is_on:
            sent = {"method": request.method, "url": request.named.url.text}
            self._tap.copy("request", dialog_id, msgspec.json.encode(sent))
        begun_at = time.monotonic()
        answer = await self._traced(request)
        took = self._metrics.histogram(table.REQUEST_SECONDS, self._server, request.method)
        took.observe(time.monotonic() - begun_at)
        return answer

    async def _traced(self, request: _Request) -> Answer:
        method, url, body = request.method, request.named.url.text, request.named.body
        limit = min(self._bus.max_message_bytes, MAX_ANSWER_BYTES)
        if not self._traces.is_on:
            return await self._rest.request(method, url, body, max_bytes=limit)
        with self._traces.span(
            f"{method} {request.template}",
            SpanKind.CLIENT,
            http__request__method=method,
            url__template=request.template,
        ) as span:
            answer = await self._rest.request(method, url, body, max_bytes=limit)
            answered(span, answer.status)
            return answer

    def _count(self, method: str, template: str, status: int) -> None:
        operation = f"{method} {template}"
        self._metrics.counter(table.REQUESTS, self._server, operation, str(status)).inc()

    def _reject(self, error: RejectedError) -> tuple[int, str]:
        self._metrics.counter(table.REJECTED, self._server, error.reason).inc()
        return error.status_code, _explain(error.reason, str(error), sent=error.sent)


def _binding(
    named: Named, dialog_id: DialogId, announce_to: str, *, begins_dialog: bool
) -> ObjectRegistration | None:
    """Return what ingest has to know before the request is sent, or None if it needs nothing."""
    new = named.creates
    if new is None:
        return None
    if new.needs_registration or (begins_dialog and new.kind == "channel"):
        return ObjectRegistration(dialog_id, new.kind, new.object_id, announce_to)
    return None


def _explain(reason: str, message: str, *, sent: bool) -> str:
    """Return a body that tells our own errors from Asterisk's, which have just a message."""
    content = {"message": message, "error": f"ari_proxy.{reason}", "sent": sent}
    return msgspec.json.encode(content).decode()


def _application_of(command: Command) -> str:
    """Return the application that a command's new channel will enter, or ''."""
    url = urls.AriUrl(path="", query=command.url.partition("?")[2])
    return parameter("app", url, command.body)
