"""What a client of Asterisk's REST interface does, whatever carries the requests."""

from typing import Final, NamedTuple, Protocol

import structlog

from .errors import AnswerTooLargeError

_log = structlog.get_logger()

#: Enough for a list of tens of thousands of channels, a kilobyte each.
MAX_ANSWER_BYTES: Final = 64 << 20


class Answer(NamedTuple):
    """Asterisk's answer to a request."""

    status: int
    body: str


class AriClient(Protocol):
    """Sends requests to one Asterisk."""

    @property
    def in_flight(self) -> int:
        """The number of requests that Asterisk has not answered yet."""
        ...

    async def request(
        self,
        method: str,
        url: str,
        body: str = "",
        *,
        timeout_seconds: float | None = None,
        max_bytes: int = MAX_ANSWER_BYTES,
    ) -> Answer:
        """Send one request and return Asterisk's answer, whatever its status.

        It is sent once; only a GET is sent again if the connection breaks.

        Args:
            method: in upper case.
            url: relative to ARI's root, percent-encoded, as `urls.parse` returns it.
            body: JSON text, or ''.
            timeout_seconds: overrides the client's; includes the wait for a free connection.
            max_bytes: limit of the answer's body.

        Raises:
            UnreachableError: there is no connection, or it broke.
            NeedsHttpError: it can't travel on a websocket, and the client uses nothing else.
            AriTimeoutError: no answer within the deadline.
            AnswerTooLargeError: the answer's body is larger than `max_bytes`.
        """
        ...


def limited(answer: Answer, method: str, url: str, max_bytes: int) -> Answer:
    """Return an answer whose body is already there, unless it is too large.

    Raises:
        AnswerTooLargeError: the body is larger than `max_bytes`.
    """
    if len(answer.body) > max_bytes:
        path = url.partition("?")[0]
        _log.warning("asterisk.answer_too_large", method=method, path=path, limit=max_bytes)
        raise AnswerTooLargeError(method, path, answer.status, max_bytes)
    return answer
