"""Errors of the command service.

RejectedError   a command that Asterisk does not answer; becomes its response
"""


class RejectedError(Exception):
    """A command that Asterisk does not answer; becomes its response."""

    def __init__(self, status_code: int, reason: str, message: str, *, sent: bool = False) -> None:
        super().__init__(message)
        self.status_code = status_code
        self.reason = reason
        #: False if Asterisk provably did not get it.
        self.sent = sent
