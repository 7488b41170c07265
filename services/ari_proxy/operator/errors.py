"""Errors of the operator.

OperatorError
├── KubernetesError       a request to the API server failed
├── NameTakenError        an object has the name of one of ours
├── PodTemplateError      a podTemplate does not have the form of a pod template
└── NoKubernetesError     there is no cluster to connect to
"""


class OperatorError(Exception):
    """The operator can't do its work."""


class KubernetesError(OperatorError):
    """A request to the API server failed.

    Args:
        what: verb and object of the request.
        reason: the API server's message.
        status: the HTTP status; 0 if there was no response.
    """

    def __init__(self, what: str, reason: str, status: int = 0) -> None:
        super().__init__(f"{what}: {reason}")
        self.reason = reason
        self.status = status

    @property
    def is_refusal(self) -> bool:
        """True if a retry of the same request would fail in the same way."""
        return self.status in {400, 403, 404, 413, 422}


class NameTakenError(OperatorError):
    """An object that the resource does not control has the name of one of its own.

    Args:
        what: kind and name of the object.
        reason: who controls it, and what to do.
    """

    def __init__(self, what: str, reason: str) -> None:
        super().__init__(f"{what}: {reason}")
        self.reason = reason


class PodTemplateError(OperatorError):
    """A podTemplate does not have the form of a pod template.

    Args:
        path: the field's place, which says whose podTemplate it is.
        problem: continues a sentence about the field.
    """

    def __init__(self, path: str, problem: str) -> None:
        super().__init__(f"{path} {problem}")


class NoKubernetesError(OperatorError):
    """There is no cluster to connect to."""
