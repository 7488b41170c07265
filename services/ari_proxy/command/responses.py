"""Responses: published on the owner's topic, and on the reply subject of a request."""

from typing import Final

from ari_proxy.bus.base import Bus, Message
from ari_proxy.protocol import messages, topics
from ari_proxy.protocol.ids import DialogId, ServerId
from ari_proxy.protocol.messages import CommandResponse

from .errors import RejectedError
from .refusals import Refusals
from .telemetry import CommandTelemetry

#: The most bytes that a character becomes in JSON: a backslash, u and four digits, as `<` does.
LARGEST_CHARACTER_BYTES: Final = 6


class Responses:
    """Publishes the responses to the commands of one server."""

    def __init__(self, bus: Bus, refusals: Refusals, telemetry: CommandTelemetry) -> None:
        self._bus = bus
        self._refusals = refusals
        self._telemetry = telemetry

    def respond(
        self, owner: DialogId | ServerId, response: CommandResponse, *, traceparent: str = ""
    ) -> None:
        """Publish the response to one command on the topic of the command's owner."""
        # A client without ids takes the responses in their order: one too many shifts all others.
        once = not response.unique_id
        payload = messages.encode(response)
        self._bus.publish(topics.responses(owner), payload, once=once, traceparent=traceparent)
        self._telemetry.response(owner, payload)

    def reply(self, message: Message, responses: list[CommandResponse]) -> None:
        """Answer a message that was published as a request on its reply subject as well."""
        if not message.reply:
            return
        if messages.is_array(message.payload):
            self._bus.publish(message.reply, self._array(responses))
        else:
            self._bus.publish(message.reply, messages.encode(responses[0]))

    def limit_size(self, response: CommandResponse) -> CommandResponse:
        """Return the response, or a refusal in its place if the bus does not take it."""
        limit = self._bus.max_message_bytes
        if len(response.response_body) * LARGEST_CHARACTER_BYTES < limit // 2:
            return response
        return response if len(messages.encode(response)) <= limit else self._too_large(response)

    def _array(self, responses: list[CommandResponse]) -> bytes:
        """Return the responses as a JSON array, or refusals if the bus does not take it."""
        return (
            self._encoded(responses)
            or self._encoded([self._too_large(response) for response in responses])
            or messages.encode_all([self._too_many(len(responses))])
        )

    def _encoded(self, responses: list[CommandResponse]) -> bytes:
        """Return responses as a JSON array, or b"" if the bus does not take it."""
        limit = self._bus.max_message_bytes
        # A character is at least a byte: an array that can't fit is not encoded.
        if sum(len(response.response_body) for response in responses) > limit:
            return b""
        array = messages.encode_all(responses)
        return array if len(array) <= limit else b""

    def _too_large(self, response: CommandResponse) -> CommandResponse:
        message = f"Asterisk answered {response.status_code} with more than the bus takes"
        error = RejectedError(502, "too_large", message, sent=True)
        return self._refusals.response(response.unique_id, error)

    def _too_many(self, count: int) -> CommandResponse:
        message = f"the answers to {count} commands are more than the bus takes in one message"
        return self._refusals.response("", RejectedError(502, "too_large", message, sent=True))
