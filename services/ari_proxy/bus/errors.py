"""Errors of the bus.

BusError
├── BusUnavailableError   there is no connection, or it was lost while an answer was awaited
├── NoRespondersError     nobody listens on the topic of a request
├── BusTimeoutError   somebody listens, but no reply came in time
├── BusRefusedError       the server does not do what it was asked
│   └── MessageTooLargeError  a message is larger than the server takes
└── BusSettingsError      the URL or the credentials can't work
"""


class BusError(Exception):
    """The message bus did not do what it was asked."""


class BusUnavailableError(BusError):
    """There is no connection to the bus, or it was lost meanwhile."""


class NoRespondersError(BusError):
    """Nobody listens on the topic."""

    def __init__(self, topic: str) -> None:
        super().__init__(f"nobody listens on {topic}")
        self.topic = topic


class BusTimeoutError(BusError):
    """No reply came in time."""

    def __init__(self, topic: str, timeout_seconds: float) -> None:
        super().__init__(f"no reply on {topic} within {timeout_seconds:g} s")
        self.topic = topic


class BusRefusedError(BusError):
    """The server does not do what it was asked."""


class MessageTooLargeError(BusRefusedError):
    """A message is larger than the server takes; it was not sent."""

    def __init__(self, topic: str, size: int, limit: int) -> None:
        super().__init__(
            f"a message of {size} bytes on {topic} is too large: the bus takes {limit} bytes"
        )
        self.topic = topic
        self.size = size
        self.limit = limit


class BusSettingsError(BusError, ValueError):
    """The bus cannot be used as it is configured."""
