"""The executor: one command → checked, named, registered, sent → exactly one response."""

import time
from typing import Final

import msgspec

from ari_proxy.ari import operations, urls
from ari_proxy.ari.client import Answer, AriClient
from ari_proxy.ari.errors import IllegalUrlError, TransportError
from ari_proxy.ari.rest import MAX_BODY_BYTES
from ari_proxy.bus.base import Bus
from ari_proxy.command.authorization.authorizer import Authorizer
from ari_proxy.command.authorization.object_refs import deleted_recording, new_recording
from ari_proxy.protocol import ids
from ari_proxy.protocol.ids import DialogId, ServerId
from ari_proxy.protocol.messages import (
    Command,
    CommandResponse,
    ObjectRegistration,
    ServerCommandResponse,
)
from ari_proxy.settings.load import Settings
from ari_proxy.telemetry.traces import answered

from .assignment import Assignment, DialogAssigner
from .errors import RejectedError
from .fatal import refuse_fatal
from .naming import NewObject, name_object
from .refusals import Refusals
from .registration import ObjectRegistrar
from .telemetry import CommandTelemetry

_METHODS: Final = frozenset({"GET", "POST", "PUT", "DELETE"})
#: Of an answer to a command: NATS's default limit of a message. RabbitMQ takes 16 MiB, but reading,
#: decoding and encoding so much would hold up all other calls.
MAX_ANSWER_BYTES: Final = 1 << 20
#: From this status on Asterisk has not done what the request asked for.
_FAILED: Final = 400
_OK: Final = 200


class _Request(msgspec.Struct, frozen=True, gc=False):
    """A command that has passed all checks."""

    method: str
    template: str
    url: urls.AriUrl
    body: str
    #: Registered with ingest before the request is sent.
    creates: ObjectRegistration | None
    #: Released once Asterisk has done it.
    deletes: ObjectRegistration | None


class Executor:
    """Executes the commands of one server, each at most once."""

    def __init__(
        self,
        settings: Settings,
        bus: Bus,
        asterisk: AriClient,
        refusals: Refusals,
        telemetry: CommandTelemetry,
    ) -> None:
        self._server = ServerId(settings.server_id)
        self._bus = bus
        self._asterisk = asterisk
        self._refusals = refusals
        self._telemetry = telemetry
        self._authorizer = Authorizer(self._server, bus, settings.command)
        self._registrar = ObjectRegistrar(self._server, bus)
        self._assigner = DialogAssigner(
            self._server, form=settings.bus.dialog_form, allows_uuid=bus.queues is not None
        )

    async def check_asterisk(self) -> str:
        """Return why commands cannot be executed now, or ''."""
        try:
            answer = await self._asterisk.request("GET", "/asterisk/ping", timeout_seconds=1)
        except TransportError as error:
            return str(error)
        return "" if answer.status == _OK else f"Asterisk answers {answer.status}"

    async def execute(self, command: Command, owner: DialogId | ServerId) -> CommandResponse:
        """Execute a command and return its response, also if it is refused or fails.

        Args:
            command: the command.
            owner: the dialog or the server on whose topic the command came.
        """
        begun_at, begun_dialog = time.monotonic(), ""
        try:
            assignment = self._assigner.assign(command, owner)
            begun_dialog = assignment.dialog_id if assignment.begins_dialog else ""
            request = await self._check(command, assignment)
            if request.creates is None:
                answer = await self._send(request, assignment.dialog_id)
            else:
                answer = await self._create(request, request.creates, assignment.dialog_id)
            if request.deletes is not None and answer.status < _FAILED:
                await self._registrar.release(request.deletes)
            seconds = time.monotonic() - begun_at
            self._telemetry.command_answered(
                request.method, request.template, answer.status, seconds
            )
        except (RejectedError, TransportError) as error:
            answer = self._refusals.answer(error)
        if owner == self._server:
            return ServerCommandResponse(command.unique_id, *answer, begun_dialog)
        return CommandResponse(command.unique_id, *answer)

    async def _check(self, command: Command, assignment: Assignment) -> _Request:
        """Return the request of a command that may be sent, or raise RejectedError."""
        method, body = command.method.upper(), command.body
        if method not in _METHODS:
            allowed = ", ".join(sorted(_METHODS))
            raise RejectedError(
                405, "method", f"the method {command.method!r} is not one of {allowed}"
            )
        url = _url_of(command)
        if body and len(body.encode(errors="surrogatepass")) > MAX_BODY_BYTES:
            raise RejectedError(
                413, "body", f"the body has more than {MAX_BODY_BYTES} bytes, Asterisk's limit"
            )
        template = operations.template_of(url.path)
        refuse_fatal(method, template, url, body)
        dialog_id = assignment.dialog_id
        owner = None if assignment.is_of_server else dialog_id
        await self._authorizer.check(method, template, url, body, owner)
        named = name_object(method, template, url, body, dialog_id, random=ids.random_id)
        creates, deletes = named.creates, ""
        if self._authorizer.registers_recordings:
            creates = creates or _recording(new_recording(method, template, url, body))
            deletes = deleted_recording(method, template, url)
        return _Request(
            method,
            template,
            named.url,
            named.body,
            creates=_registration(creates, assignment),
            deletes=ObjectRegistration(dialog_id, "recording", deletes) if deletes else None,
        )

    async def _send(self, request: _Request, dialog_id: DialogId) -> Answer:
        method, url = request.method, request.url.text
        limit = min(self._bus.max_message_bytes, MAX_ANSWER_BYTES)
        begun_at = time.monotonic()
        with self._telemetry.request(method, request.template, url, dialog_id) as span:
            answer = await self._asterisk.request(method, url, request.body, max_bytes=limit)
            answered(span, answer.status)
        self._telemetry.request_answered(method, time.monotonic() - begun_at)
        return answer

    async def _create(
        self, request: _Request, new: ObjectRegistration, dialog_id: DialogId
    ) -> Answer:
        """Send a request that creates an object, of which ingest is informed before."""
        async with self._registrar.registered(new) as registered:
            await self._authorizer.check_new(new)
            answer = await self._send(request, dialog_id)
            if answer.status >= _FAILED:
                registered.withdraw()
        return answer


def _url_of(command: Command) -> urls.AriUrl:
    try:
        return urls.parse(command.url)
    except IllegalUrlError as error:
        raise RejectedError(400, "url", str(error)) from error


def _recording(name: str) -> NewObject | None:
    return NewObject("recording", name, needs_registration=True) if name else None


def _registration(new: NewObject | None, assignment: Assignment) -> ObjectRegistration | None:
    """Return the registration that has to precede the request, or None if ingest needs none."""
    if new is None:
        return None
    begins = assignment.begins_dialog and new.kind == "channel"
    if not (new.needs_registration or begins):
        return None
    return ObjectRegistration(assignment.dialog_id, new.kind, new.object_id, assignment.announce_to)
