"""The loop that every adapter runs: connect, serve until the connection is lost, connect again."""

import asyncio
from collections.abc import Awaitable, Callable, Coroutine
from typing import Final, NoReturn, TypeVar

from ari_proxy.aio import in_own_task
from ari_proxy.backoff import Backoff

Connection = TypeVar("Connection")

#: A connection that lasted this long resets the backoff.
STABLE_SECONDS: Final = 5.0


async def keep_connected(
    connect: Callable[[], Awaitable[Connection | None]],
    serve: Callable[[Connection], Coroutine[None, None, None]],
    backoff: Backoff,
    *,
    clock: Callable[[], float] | None = None,
    sleep: Callable[[float], Awaitable[object]] = asyncio.sleep,
) -> NoReturn:
    """Keep a connection until cancelled.

    After a failed attempt, and after a connection that was lost soon, the next attempt waits for
    the backoff; after a stable connection it comes at once.

    Args:
        connect: returns a connection, or None if the attempt has failed.
        serve: uses a connection until it is lost.
        backoff: the delays between attempts.
        clock: monotonic seconds; the loop's time by default.
        sleep: awaited for each delay.
    """
    now = clock or asyncio.get_running_loop().time
    failures = 0
    while True:
        connection = await connect()
        if connection is not None:
            connected_at = now()
            await in_own_task(serve(connection))
            if now() - connected_at > STABLE_SECONDS:
                failures = 0
                continue
        failures += 1
        await sleep(backoff.seconds(failures))
