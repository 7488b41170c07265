"""Errors of AMQP, and aiormq's as these.

AmqpError
├── ConnectionLostError    the connection is gone, or the server closed it
│   └── UnconfirmedError   … after a message was sent, and before it was confirmed
├── ChannelClosedError     the server refused an operation, and closed its channel
└── ChannelAbortedError    the channel was closed before the server came to this operation

Only RabbitMQ's own texts are taken from aiormq's errors: those may hold the connection's URL.
"""

import asyncio
from collections.abc import Iterator
from contextlib import contextmanager

from aiormq import exceptions


class AmqpError(Exception):
    """The conversation with RabbitMQ went wrong."""


class ConnectionLostError(AmqpError):
    """The connection is gone."""


class UnconfirmedError(ConnectionLostError):
    """A message was sent, and the connection was lost before it was confirmed."""


class ChannelClosedError(AmqpError):
    """The server refused an operation and closed the channel (AMQP 0-9-1 §1.4.2.2)."""

    def __init__(self, code: int, text: str) -> None:
        super().__init__(f"RabbitMQ answers {code} {text}")
        self.code = code


class ChannelAbortedError(AmqpError):
    """The channel was closed before the server came to this operation."""


def translate(error: BaseException | None) -> AmqpError:
    """Return the error for the reason why aiormq has ended a channel or a connection.

    It is a CancelledError if the connection was silent for too long.
    """
    match error:
        case AmqpError():
            return error
        case exceptions.ChannelClosed() | exceptions.ChannelInvalidStateError():
            return ChannelAbortedError("the channel was closed")
        case asyncio.CancelledError():
            return ConnectionLostError("RabbitMQ has stopped sending heartbeats")
        case exceptions.AMQPConnectionError() if isinstance(error.__cause__, EOFError):
            return ConnectionLostError("the connection to RabbitMQ was lost")
        case None:
            return ConnectionLostError("the connection to RabbitMQ was closed")
    return ConnectionLostError(f"the connection to RabbitMQ was lost: {error}")


@contextmanager
def translated() -> Iterator[None]:
    """Raise aiormq's errors as ours.

    Raises:
        AmqpError: something went wrong.
    """
    try:
        yield
    except (exceptions.AMQPError, exceptions.ChannelInvalidStateError, OSError) as error:
        raise translate(error) from error
    except asyncio.CancelledError as error:
        task = asyncio.current_task()
        if task is None or task.cancelling():
            raise
        raise translate(error) from error  # This task was not cancelled: the error is aiormq's.
