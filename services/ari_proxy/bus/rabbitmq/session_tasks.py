"""The tasks of every session with RabbitMQ: one waits for its end, one runs its jobs."""

import asyncio
from typing import Final

from .errors import AmqpError, ConnectionLostError
from .session import Session

#: Deadline for RabbitMQ to answer an operation.
OPERATION_SECONDS: Final = 10.0


async def watch(session: Session) -> None:
    """Wait until the session has failed: RabbitMQ has ended it, or is silent.

    Raises:
        AmqpError: why the session has ended.
    """
    error = await session.failed
    raise error if isinstance(error, AmqpError) else ConnectionLostError(str(error))


async def run_jobs(session: Session) -> None:
    """Run a session's jobs one after another, until cancelled.

    Raises:
        AmqpError, TimeoutError: the session is of no use.
    """
    while True:
        job = await session.jobs.get()
        async with asyncio.timeout(OPERATION_SECONDS):
            await job(session)
