"""Errors of the bus.

BusError
├── BusUnavailableError   there is no connection, or it was lost before the outcome was known
│   └── OutcomeUnknownError   a message was sent, and its confirmation was lost
├── NoRespondersError     the topic of a request has no listener
├── BusTimeoutError   there is a listener, but no reply came in time
├── BusRefusedError       the server refuses an operation
│   └── MessageTooLargeError  a message is larger than the server accepts
└── BusSettingsError      the URL or the credentials can't work
"""


class BusError(Exception):
    """An operation of the message bus has failed."""


class BusUnavailableError(BusError):
    """There is no connection to the bus, or it was lost before the outcome was known."""


class OutcomeUnknownError(BusUnavailableError):
    """A message was sent, and the connection was lost before it was confirmed."""


class NoRespondersError(BusError):
    """The topic has no listener."""

    def __init__(self, topic: str) -> None:
        super().__init__(f"nobody listens on {topic}")
        self.topic = topic


class BusTimeoutError(BusError):
    """No reply came in time."""

    def __init__(self, topic: str, timeout_seconds: float) -> None:
        super().__init__(f"no reply on {topic} within {timeout_seconds:g} s")
        self.topic = topic


class BusRefusedError(BusError):
    """The server refuses an operation."""


class MessageTooLargeError(BusRefusedError):
    """A message is larger than the server accepts; it was not sent."""

    def __init__(self, topic: str, size: int, limit: int) -> None:
        super().__init__(
            f"a message of {size} bytes on {topic} is too large: the bus takes {limit} bytes"
        )
        self.topic = topic
        self.size = size
        self.limit = limit


class BusSettingsError(BusError, ValueError):
    """The bus cannot be used as it is configured."""
