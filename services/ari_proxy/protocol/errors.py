"""Errors of the wire protocol.

ProtocolError
├── IllegalSubjectTokenError   a server_id, application or dialog id can't be part of a topic
└── MalformedMessageError      a message from the bus isn't of its topic's kind
"""


class ProtocolError(Exception):
    """Base class of the errors below."""


class IllegalSubjectTokenError(ProtocolError, ValueError):
    """A name for a part of a topic is not a legal NATS subject token."""

    def __init__(self, kind: str, value: str, reason: str) -> None:
        super().__init__(f"{kind} {value!r} cannot be part of a topic: {reason}")
        self.kind = kind
        self.value = value
        self.reason = reason


class MalformedMessageError(ProtocolError, ValueError):
    """A message is not of the kind that its topic carries."""

    def __init__(self, kind: str, reason: str) -> None:
        super().__init__(f"not a {kind}: {reason}")
        self.kind = kind
        self.reason = reason
