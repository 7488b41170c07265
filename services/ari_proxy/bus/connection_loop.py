"""The loop that every adapter runs: connect, serve until the connection is lost, connect again."""

import asyncio
from collections.abc import Awaitable, Callable, Coroutine
from typing import Final, NoReturn, TypeVar

from ari_proxy.aio import in_own_task
from ari_proxy.backoff import Backoff

Connection = TypeVar("Connection")

#: A connection that lasted this long resets the backoff.
STABLE_SECONDS: Final = 5.0


class ConnectionDelays:
    """Delays before the next attempt to connect: none after a stable connection, else a backoff."""

    def __init__(self, backoff: Backoff) -> None:
        self._backoff = backoff
        self._failures = 0

    def after(self, lasted_seconds: float | None) -> float:
        """Return the delay in seconds.

        Args:
            lasted_seconds: of the connection before, or None after an attempt that has failed.
        """
        if lasted_seconds is not None and lasted_seconds > STABLE_SECONDS:
            self._failures = 0
            return 0.0
        self._failures += 1
        return self._backoff.seconds(self._failures)


async def keep_connected(
    connect: Callable[[], Awaitable[Connection | None]],
    serve: Callable[[Connection], Coroutine[None, None, None]],
    backoff: Backoff,
) -> NoReturn:
    """Keep a connection until cancelled.

    After a failed attempt, and after a connection that was lost soon, the next attempt waits for
    the backoff; after a stable connection it comes at once.

    Args:
        connect: returns a connection, or None if the attempt has failed.
        serve: uses a connection until it is lost.
        backoff: the delays between attempts.
    """
    loop = asyncio.get_running_loop()
    delays = ConnectionDelays(backoff)
    while True:
        lasted_seconds = None
        connection = await connect()
        if connection is not None:
            connected_at = loop.time()
            await in_own_task(serve(connection))
            lasted_seconds = loop.time() - connected_at
        await asyncio.sleep(delays.after(lasted_seconds))
