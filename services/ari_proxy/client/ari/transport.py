"""What carries the requests of the typed operations: the one thing that a client brings along."""

from typing import NamedTuple, Protocol


class AriAnswer(NamedTuple):
    """The answer to a request, whatever its status."""

    status: int
    #: Text as a bus carries it, or bytes.
    body: str | bytes


class AriTransport(Protocol):
    """Carries requests to one Asterisk."""

    @property
    def asterisk_version(self) -> str:
        """The server's version as Asterisk writes it, like `22.10.1`; '' while it is not known."""
        ...

    async def request(self, method: str, url: str, body: str) -> AriAnswer:
        """Send one request, once, and return the answer.

        Args:
            method: `GET`, `POST`, `PUT` or `DELETE`.
            url: relative to ARI's root, with the query, percent-encoded.
            body: JSON, or ''.

        Raises:
            NotSent: Asterisk has not got the request.
            OutcomeUnknown: no answer came, and it may have got the request.
        """
        ...
