"""Refusals: the responses to commands that Asterisk has not answered."""

from typing import Final

import msgspec

from ari_proxy.ari.client import Answer
from ari_proxy.ari.errors import TransportError
from ari_proxy.protocol.messages import CommandResponse

from .errors import RejectedError
from .telemetry import CommandTelemetry

#: Characters; a command's id is repeated in its response, which has to fit into a message.
MAX_UNIQUE_ID: Final = 1024


class Refusals:
    """Turns errors into responses, and counts them."""

    def __init__(self, telemetry: CommandTelemetry) -> None:
        self._telemetry = telemetry

    def answer(self, error: RejectedError | TransportError) -> Answer:
        """Return the status and the body for a command that has failed."""
        self._telemetry.failed(error)
        return Answer(error.status_code, _body(error))

    def response(self, unique_id: str, error: RejectedError) -> CommandResponse:
        """Return the response to a command that is not executed."""
        return CommandResponse(unique_id[:MAX_UNIQUE_ID], *self.answer(error))


def _body(error: RejectedError | TransportError) -> str:
    """Return a body that is distinct from Asterisk's, which have a `message` alone."""
    content = {"message": str(error), "error": f"ari_proxy.{error.reason}", "sent": error.sent}
    return msgspec.json.encode(content).decode()
