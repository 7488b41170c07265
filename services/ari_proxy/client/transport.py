"""What carries the typed operations of one call: commands on its topic, and their responses."""

import asyncio
from contextlib import suppress
from typing import Final

from ari_proxy.protocol.messages import CommandResponse

from .ari.transport import AriAnswer
from .commands import CallCommands, SentCommand, name_of
from .errors import NotSent, OutcomeUnknown, is_cut_off
from .passing import until_passed
from .remedies import ABSENT, DONE, Absent, Finding, Remedy, remedy_of

#: Seconds without a response after which an executor may have died with the command: Asterisk
#: answers most within milliseconds.
AGAIN_SECONDS: Final = 3.0
#: How often a request is sent: an Asterisk that is slow must not get much more to do.
MOST_TIMES: Final = 3
#: Asterisk's answer to a name that is taken: by the same request, if it was sent again.
_CONFLICT: Final = 409
#: For requests that can only be waited for.
_NONE: Final = Remedy(may_repeat=False)


class CallTransport:
    """Carries requests to the Asterisk of a call, each as a command.

    One without a response is sent again if that does no harm, or Asterisk is asked what has become
    of it: the executor may have died with it.
    """

    def __init__(
        self,
        commands: CallCommands,
        *,
        response_seconds: float,
        asterisk_version: str = "",
        again_seconds: float = AGAIN_SECONDS,
    ) -> None:
        """Make the transport of a call.

        Args:
            commands: of the call.
            response_seconds: to wait for a response.
            asterisk_version: of its server; '' if the AppStart did not tell it: then Asterisk
                itself says what it does not have.
            again_seconds: without a response after which something is done about it.
        """
        self.asterisk_version = asterisk_version
        self._commands = commands
        self._response_seconds = response_seconds
        self._again_seconds = again_seconds

    async def request(self, method: str, url: str, body: str) -> AriAnswer:
        """Have one request executed, once as far as its effect goes, and return the answer.

        Raises:
            NotSent: Asterisk has not got the request.
            OutcomeUnknown: no answer came within `response_seconds`; it may have got the request.
        """
        return await until_passed(
            lambda seconds: self._cured(method, url, body, seconds),
            within_seconds=self._response_seconds,
        )

    async def _cured(self, method: str, url: str, body: str, seconds: float) -> AriAnswer:
        """Have a request executed whose executor may lose its connection to Asterisk.

        An Asterisk that does not answer in time gets no further request.
        """
        remedy, loop = remedy_of(method, url) or _NONE, asyncio.get_running_loop()
        deadline = loop.time() + seconds
        answer = await self._request(method, url, body, seconds, remedy)
        for _ in range(MOST_TIMES - 1):
            found = await self._missed(remedy, answer)
            if not isinstance(found, Absent):
                return found or answer
            answer = await self._request(method, url, body, deadline - loop.time(), remedy)
            if answer.status == remedy.done_already:
                return DONE
        return answer

    async def _missed(self, remedy: Remedy, answer: AriAnswer) -> Finding:
        """Return what a request was answered, or would have been; ABSENT to send it again."""
        if remedy is _NONE or not is_cut_off(answer.status, answer.body):
            return answer
        found = await self._found(remedy)
        return found if found is not ABSENT or remedy.may_repeat else answer

    async def _request(
        self, method: str, url: str, body: str, seconds: float, remedy: Remedy
    ) -> AriAnswer:
        command = self._commands.new(method, url, body)
        try:
            with self._commands.sending(command, timeout_seconds=self._response_seconds) as sent:
                async with asyncio.timeout(seconds):
                    return await self._answered(sent, remedy)
        except TimeoutError as error:
            reason = f"no response within {self._response_seconds:g} s"
            raise OutcomeUnknown(name_of(command), reason) from error

    async def _answered(self, sent: SentCommand, remedy: Remedy) -> AriAnswer:
        while True:
            response = await sent.response(self._patience(sent, remedy))
            found = await self._found(remedy) if _is_open(response, sent) else None
            if isinstance(found, AriAnswer):
                return found
            if response is not None:
                return _answer(response, sent, remedy)
            if found is ABSENT and remedy.may_repeat:
                sent.send()

    def _patience(self, sent: SentCommand, remedy: Remedy) -> float | None:
        """Return how long to wait for a response before something is done; None for ever."""
        is_last = remedy is _NONE or sent.times == MOST_TIMES
        return None if is_last else self._again_seconds

    async def _found(self, remedy: Remedy) -> Finding:
        """Ask Asterisk whether it has executed a request."""
        if not remedy.inquiry:
            return ABSENT
        question = self._commands.new("GET", remedy.inquiry)
        with suppress(NotSent):
            with self._commands.sending(question, timeout_seconds=self._again_seconds) as asked:
                response = await asked.response(self._again_seconds)
            if response is not None:
                return remedy.finding(_content(response))
        return None


def _is_open(response: CommandResponse | None, sent: SentCommand) -> bool:
    """Return whether it is open what became of a request: also if it has its own name refused."""
    return response is None or (sent.times > 1 and response.status_code == _CONFLICT)


def _answer(response: CommandResponse, sent: SentCommand, remedy: Remedy) -> AriAnswer:
    if sent.times > 1 and response.status_code == remedy.done_already:
        return DONE
    return _content(response)


def _content(response: CommandResponse) -> AriAnswer:
    return AriAnswer(response.status_code, response.response_body)
