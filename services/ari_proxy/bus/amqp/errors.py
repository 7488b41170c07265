"""Errors of AMQP.

AmqpError
├── ConnectionLostError    the connection is gone, or the server closed it
├── ChannelClosedError     the server refused an operation, and closed its channel
├── ChannelAbortedError    another operation's refusal closed the channel
└── MalformedFrameError    what came is not AMQP 0-9-1
"""


class AmqpError(Exception):
    """The conversation with RabbitMQ went wrong."""


class ConnectionLostError(AmqpError):
    """The connection is gone."""


class ChannelClosedError(AmqpError):
    """The server refused an operation and closed the channel (AMQP 0-9-1 §1.4.2.2)."""

    def __init__(self, code: int, text: str) -> None:
        super().__init__(f"RabbitMQ answers {code} {text}")
        self.code = code


class ChannelAbortedError(AmqpError):
    """The channel was closed before the server came to this operation."""


class MalformedFrameError(AmqpError):
    """What came is not AMQP 0-9-1."""
