"""Errors of the operator.

OperatorError
├── KubernetesError       the API server refuses a request, or can't be asked
└── NoKubernetesError     there is no cluster to work for
"""


class OperatorError(Exception):
    """The operator can't do its work."""


class KubernetesError(OperatorError):
    """The API server refuses a request, or can't be asked.

    Args:
        what: the verb and the object.
        reason: the API server's message.
        status: of HTTP; 0 if there was no answer.
    """

    def __init__(self, what: str, reason: str, status: int = 0) -> None:
        super().__init__(f"{what}: {reason}")
        self.reason = reason
        self.status = status

    @property
    def is_refusal(self) -> bool:
        """Whether the same request would be refused again."""
        return self.status in {400, 403, 404, 413, 422}


class NoKubernetesError(OperatorError):
    """There is no cluster to work for."""
