"""Commands of no call: those that place one, and whatever else a server is asked for."""

from typing import Final, Protocol

import msgspec

from ari_proxy.bus.errors import (
    BusError,
    BusRefusedError,
    NoRespondersError,
)
from ari_proxy.protocol import messages, topics
from ari_proxy.protocol.errors import MalformedMessageError
from ari_proxy.protocol.ids import DialogId, ServerId
from ari_proxy.protocol.malformed import UNDECODABLE
from ari_proxy.protocol.messages import Command, ServerCommandResponse

from .ari.transport import AriAnswer
from .call import RESPONSE_SECONDS
from .commands import name_of
from .errors import NotSent, OutcomeUnknown, TransportFailed, is_unknown
from .passing import until_passed
from .remedies import Remedy, remedy_of

#: Seconds for the answer to what has become of a request.
INQUIRY_SECONDS: Final = 3.0
_response: Final = msgspec.json.Decoder(ServerCommandResponse)


class RequestingBus(Protocol):
    """The part of a bus that commands of a server need."""

    async def request(self, topic: str, payload: bytes, *, timeout_seconds: float) -> bytes:
        """Send a message and return the first reply to it."""


class ServerTransport:
    """Carries requests to the Asterisk of a server; what they create belongs to one dialog."""

    #: It is not known before a call has begun.
    asterisk_version = ""

    def __init__(
        self, bus: RequestingBus, server: ServerId, dialog: DialogId, *, response_seconds: float
    ) -> None:
        """Make the transport of a server.

        Args:
            bus: the bus that the proxy uses.
            server: whose Asterisk.
            dialog: gets what is created.
            response_seconds: to wait for a response.
        """
        self._bus = bus
        self._server = server
        self._dialog = dialog
        self._response_seconds = response_seconds

    async def request(self, method: str, url: str, body: str) -> AriAnswer:
        """Have one request executed, once, and return the answer.

        Raises:
            NotSent: Asterisk has not got the request.
            OutcomeUnknown: no answer came within `response_seconds`; it may have got the request.
        """
        command = Command("", url, method, body, dialog_id=self._dialog)
        remedy = remedy_of(method, url) or Remedy()
        try:
            answer = await until_passed(
                lambda seconds: self._request(command, seconds),
                within_seconds=self._response_seconds,
            )
        except OutcomeUnknown:
            found = await self._found(remedy)
            if found is None:
                raise
            return found
        if is_unknown(answer.status, answer.body):
            return await self._found(remedy) or answer
        return answer

    async def _found(self, remedy: Remedy) -> AriAnswer | None:
        """Ask Asterisk for what a request was to create; return it if it is there."""
        if not remedy.inquiry:
            return None
        question = Command("", remedy.inquiry, "GET", "", dialog_id=self._dialog)
        seconds = min(INQUIRY_SECONDS, self._response_seconds)
        try:
            found = remedy.finding(await self._request(question, seconds))
        except TransportFailed:
            return None
        return found if isinstance(found, AriAnswer) else None

    async def _request(self, command: Command, seconds: float) -> AriAnswer:
        try:
            response = await call(self._bus, self._server, command, response_seconds=seconds)
        except NoRespondersError as error:
            reason = f"no executor of the server {self._server!r} is there: {error}"
            raise NotSent(name_of(command), reason) from error
        except BusRefusedError as error:
            raise NotSent(name_of(command), str(error)) from error
        except (BusError, MalformedMessageError) as error:
            raise OutcomeUnknown(name_of(command), str(error)) from error
        return AriAnswer(response.status_code, response.response_body)


async def call(
    bus: RequestingBus,
    server: ServerId,
    command: Command,
    *,
    response_seconds: float = RESPONSE_SECONDS,
) -> ServerCommandResponse:
    """Send a command outside of any dialog, such as one that places a call.

    Raises:
        BusError: no executor responded.
        MalformedMessageError: the response can't be decoded.
    """
    answer = await bus.request(
        topics.commands(server), messages.encode(command), timeout_seconds=response_seconds
    )
    try:
        return _response.decode(answer)
    except UNDECODABLE as error:
        raise MalformedMessageError("ServerCommandResponse", str(error)) from error
