"""Registration: ingest learns of an object's name before any event of the object can come."""

from types import TracebackType
from typing import Final, Self

import msgspec
import structlog

from ari_proxy.ari.errors import TransportError
from ari_proxy.bus.base import Bus
from ari_proxy.bus.errors import BusError
from ari_proxy.protocol import messages, topics
from ari_proxy.protocol.ids import ServerId
from ari_proxy.protocol.malformed import UNDECODABLE
from ari_proxy.protocol.messages import ObjectRegistration, RegistrationReply

from .errors import RejectedError

_log = structlog.get_logger()
#: For ingest to acknowledge a registration.
REGISTRATION_SECONDS: Final = 2.0
_reply_decoder: Final = msgspec.json.Decoder(RegistrationReply)


class ObjectRegistrar:
    """Registers objects with the ingest of one server."""

    def __init__(self, server: ServerId, bus: Bus) -> None:
        self._topic = topics.bindings(server)
        self._bus = bus

    async def register(self, registration: ObjectRegistration) -> bool:
        """Register or release an object; return whether the dialog has it by this alone.

        Raises:
            RejectedError: ingest refuses it, or does not answer.
        """
        try:
            reply = _reply_decoder.decode(
                await self._bus.request(
                    self._topic,
                    messages.encode(registration),
                    timeout_seconds=REGISTRATION_SECONDS,
                )
            )
        except (BusError, *UNDECODABLE) as error:
            named = f"{registration.kind} {registration.object_id}"
            message = f"{named} could not be registered with ingest: {error}"
            raise RejectedError(503, "registration", message) from error
        if reply.error:
            raise RejectedError(400, "registration", reply.error)
        return reply.is_new

    async def release(self, registration: ObjectRegistration) -> None:
        """Release an object's name, before the client learns that it is free.

        A failure is logged: the command has been executed, so its answer stands.
        """
        try:
            await self.register(msgspec.structs.replace(registration, release=True))
        except RejectedError as error:
            _log.warning("release.failed", name=registration.object_id, error=str(error))

    def registered(self, registration: ObjectRegistration) -> "RegisteredObject":
        """Return a block in which the object is registered."""
        return RegisteredObject(self, registration)


class RegisteredObject:
    """Releases the object's name again if Asterisk provably has not created the object."""

    __slots__ = ("_is_new", "_is_void", "_registrar", "_registration")

    def __init__(self, registrar: ObjectRegistrar, registration: ObjectRegistration) -> None:
        self._registrar = registrar
        self._registration = registration
        self._is_new = False
        self._is_void = False

    def withdraw(self) -> None:
        """Release the name at the end of the block: Asterisk has refused the request."""
        self._is_void = True

    async def __aenter__(self) -> Self:
        self._is_new = await self._registrar.register(self._registration)
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        if not self._is_new:
            return
        if isinstance(error, RejectedError | TransportError):
            self._is_void = not error.sent
        if self._is_void:
            await self._registrar.release(self._registration)
