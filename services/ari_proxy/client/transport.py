"""What carries the typed operations of one call: commands on its topic, and their responses."""

from .ari.transport import AriAnswer
from .commands import CallCommands, name_of
from .errors import OutcomeUnknown


class CallTransport:
    """Carries requests to the Asterisk of a call, each as one command that is sent once."""

    def __init__(
        self, commands: CallCommands, *, response_seconds: float, asterisk_version: str = ""
    ) -> None:
        """Make the transport of a call.

        Args:
            commands: of the call.
            response_seconds: to wait for a response.
            asterisk_version: of its server; '' if the AppStart did not tell it: then Asterisk
                itself says what it does not have.
        """
        self.asterisk_version = asterisk_version
        self._commands = commands
        self._response_seconds = response_seconds

    async def request(self, method: str, url: str, body: str) -> AriAnswer:
        """Send one request, once, and return the answer.

        Raises:
            NotSent: Asterisk has not got the request.
            OutcomeUnknown: no answer came within `response_seconds`; it may have got the request.
        """
        command = self._commands.new(method, url, body)
        try:
            response = await self._commands.send(command, timeout_seconds=self._response_seconds)
        except TimeoutError as error:
            reason = f"no response within {self._response_seconds:g} s"
            raise OutcomeUnknown(name_of(command), reason) from error
        return AriAnswer(response.status_code, response.response_body)
