"""Errors of the wire protocol.

ProtocolError
├── IllegalSubjectTokenError   a server_id, application or dialog id that can't be part of a topic
└── MalformedMessageError      a message of the bus that isn't what its topic carries
"""


class ProtocolError(Exception):
    """Something does not follow the wire protocol."""


class IllegalSubjectTokenError(ProtocolError, ValueError):
    """A name that has to be a part of a topic is no legal NATS subject token."""

    def __init__(self, kind: str, value: str, reason: str) -> None:
        super().__init__(f"{kind} {value!r} cannot be part of a topic: {reason}")
        self.kind = kind
        self.value = value
        self.reason = reason


class MalformedMessageError(ProtocolError, ValueError):
    """A message is not what its topic carries."""

    def __init__(self, kind: str, reason: str) -> None:
        super().__init__(f"this is no {kind}: {reason}")
        self.kind = kind
        self.reason = reason
