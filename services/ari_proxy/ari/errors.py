"""Errors of the conversation with Asterisk.

AriError
├── MalformedEventError     a websocket frame that is no ARI event
├── IllegalUrlError         a command's URL that is no relative ARI path
└── TransportError          a request that got no HTTP answer, or none that we take
    ├── UnreachableError    it was provably not sent, or the connection broke: 502
    ├── AnswerTooLargeError its answer is larger than we read: 502
    └── AriTimeoutError     no answer within the deadline: 504
"""


class AriError(Exception):
    """The conversation with Asterisk went wrong."""


class MalformedEventError(AriError, ValueError):
    """A websocket frame is no ARI event."""


class IllegalUrlError(AriError, ValueError):
    """A command's URL is no relative ARI path."""

    def __init__(self, reason: str) -> None:
        super().__init__(f"the URL {reason}")
        self.reason = reason


class TransportError(AriError):
    """A request to ARI got no HTTP answer."""

    #: What a gateway answers in this case (RFC 9110 §15.6).
    status_code = 502
    #: A name for metrics and for clients.
    reason = "transport"

    def __init__(self, method: str, path: str, what: str, *, sent: bool) -> None:
        super().__init__(f"{method} {path}: {what}")
        self.what = what
        #: False if Asterisk provably did not get the request.
        self.sent = sent


class UnreachableError(TransportError):
    """Asterisk refused the connection or broke it."""

    status_code = 502
    reason = "unreachable"


class AriTimeoutError(TransportError):
    """Asterisk did not answer in time."""

    status_code = 504
    reason = "timeout"


class AnswerTooLargeError(TransportError):
    """Asterisk has done it, but its answer is larger than we read."""

    status_code = 502
    reason = "too_large"

    def __init__(self, method: str, path: str, status: int, limit: int) -> None:
        what = f"Asterisk answered {status} with more than {limit} bytes"
        super().__init__(method, path, what, sent=True)
