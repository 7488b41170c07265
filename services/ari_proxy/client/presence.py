"""Doing something for a party as long as it is there."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from .party import Party


@asynccontextmanager
async def while_present(party: Party) -> AsyncIterator[None]:
    """Cancel a block when a party leaves.

    Raises:
        CallEnded: it has left.
    """
    loop, presence = asyncio.get_running_loop(), asyncio.timeout(None)

    def follow(_: object = None) -> None:
        if party.is_over and presence.when() is None:
            presence.reschedule(loop.time())

    try:
        async with presence:
            with party.following(follow):
                follow()  # It may have left already.
                yield
    except TimeoutError as error:
        if not presence.expired():
            raise
        raise party.end_error() from error
