"""The tasks that every session with RabbitMQ needs: liveness checks, and its jobs."""

import asyncio
from typing import Any, Final

from ari_proxy.bus.amqp.errors import AmqpError, ConnectionLostError

from .session import Session

#: Deadline for RabbitMQ to answer an operation.
OPERATION_SECONDS: Final = 10.0


async def watch(session: Session) -> None:
    """Check that RabbitMQ is alive, until the session has failed.

    Raises:
        AmqpError: why the session has ended.
    """
    async with asyncio.TaskGroup() as tasks:
        beats = [
            tasks.create_task(connection.beat())
            for connection in (session.publisher, session.consumer)
        ]
        ends: list[asyncio.Future[Any]] = [*beats, session.failed]
        await asyncio.wait(ends, return_when=asyncio.FIRST_COMPLETED)
        for beat in beats:
            beat.cancel()
    if session.failed.done():
        error = session.failed.result()
        raise error if isinstance(error, AmqpError) else ConnectionLostError(str(error))
    raise ConnectionLostError("RabbitMQ has stopped sending heartbeats")


async def run_jobs(session: Session) -> None:
    """Run a session's jobs one after another, until cancelled.

    Raises:
        AmqpError, TimeoutError: the session is of no use.
    """
    while True:
        job = await session.jobs.get()
        async with asyncio.timeout(OPERATION_SECONDS):
            await job(session)
