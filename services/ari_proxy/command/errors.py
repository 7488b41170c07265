"""Errors of the command service.

RejectedError   a command gets no answer from Asterisk; the error becomes its response
"""


class RejectedError(Exception):
    """A command gets no answer from Asterisk; the error becomes its response.

    Args:
        status_code: of the response.
        reason: the part of `ari_proxy.<reason>` in the response's body, and a metric label.
        message: what happened, and to which object.
        sent: whether the request may have reached Asterisk.
    """

    def __init__(self, status_code: int, reason: str, message: str, *, sent: bool = False) -> None:
        super().__init__(message)
        self.status_code = status_code
        self.reason = reason
        #: False if the request provably did not reach Asterisk.
        self.sent = sent
