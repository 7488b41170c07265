"""Errors of ARI's clients.

AriError
├── MalformedEventError     a websocket frame is not an ARI event
├── IllegalUrlError         a command's URL is not a relative ARI path
├── UnconfigurableError     Asterisk's configuration can't say what the settings ask for
└── TransportError          a request got no HTTP answer, or none that is accepted
    ├── NeedsHttpError      it can't travel on a websocket, and HTTP is not used: 501
    ├── UnreachableError    it was provably not sent, or the connection broke: 502
    ├── AnswerTooLargeError its answer is larger than the limit: 502
    └── AriTimeoutError     no answer within the deadline: 504
"""


class AriError(Exception):
    """Base class of the errors below."""


class MalformedEventError(AriError, ValueError):
    """A websocket frame is not an ARI event."""


class IllegalUrlError(AriError, ValueError):
    """A command's URL is not a relative ARI path."""

    def __init__(self, reason: str) -> None:
        super().__init__(f"the URL {reason}")
        self.reason = reason


class UnconfigurableError(AriError, ValueError):
    """Asterisk's configuration can't say what the settings ask for."""


class TransportError(AriError):
    """A request to ARI got no HTTP answer."""

    #: A gateway's status for it (RFC 9110 §15.6).
    status_code = 502
    #: Its name in metrics and in responses.
    reason = "transport"

    def __init__(self, method: str, path: str, what: str, *, sent: bool) -> None:
        super().__init__(f"{method} {path}: {what}")
        self.what = what
        #: False if the request provably did not reach Asterisk.
        self.sent = sent


class NeedsHttpError(TransportError):
    """The request can't travel on a websocket, and HTTP is not used."""

    status_code = 501
    reason = "needs_http"

    def __init__(self, method: str, path: str, obstacle: str) -> None:
        what = f"{obstacle}; command.transport must be auto or http for it"
        super().__init__(method, path, what, sent=False)


class UnreachableError(TransportError):
    """Asterisk refused the connection or broke it."""

    status_code = 502
    reason = "unreachable"


class AriTimeoutError(TransportError):
    """Asterisk did not answer in time."""

    status_code = 504
    reason = "timeout"


class AnswerTooLargeError(TransportError):
    """Asterisk has executed the request, but its answer is larger than the limit."""

    status_code = 502
    reason = "too_large"

    def __init__(self, method: str, path: str, status: int, limit: int) -> None:
        what = f"Asterisk answered {status} with more than {limit} bytes"
        super().__init__(method, path, what, sent=True)
