"""What a client of Asterisk's REST interface does, whatever carries the requests."""

from typing import Final, NamedTuple, Protocol

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
            AriTimeoutError: no answer within the deadline.
            AnswerTooLargeError: the answer's body is larger than `max_bytes`.
        """
        ...
