"""Requests that fail since a party has left: its end may be told only after their answer."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from typing import Final

from .errors import (
    CallEnded,
    ClientError,
    Conflict,
    InvalidState,
    NotFound,
    NotSent,
    RequestFailed,
    Unsupported,
)
from .follower import Follower
from .party import Party

#: After these nothing has begun.
NOT_BEGUN: Final[tuple[type[ClientError], ...]] = (
    CallEnded,
    NotSent,
    RequestFailed,
    Unsupported,
)
#: Seconds that an event may be behind an answer which was sent after it.
BEHIND_SECONDS: Final = 1.0


@asynccontextmanager
async def asked_of(
    party: Party,
    *,
    also: tuple[type[RequestFailed], ...] = (),
    behind_seconds: float = BEHIND_SECONDS,
) -> AsyncIterator[None]:
    """Request something of a party's channel in a block.

    Args:
        party: who may have left.
        also: further refusals that may mean so.
        behind_seconds: to wait for the event, after such a refusal.

    Raises:
        CallEnded: the party has left, which is why the request was refused.
    """
    if party.is_over:
        raise party.end_error()
    refusals: tuple[type[RequestFailed], ...] = (NotFound, Conflict, InvalidState, *also)
    try:
        yield
    except refusals as error:
        if await ends(party, within_seconds=behind_seconds):
            raise party.end_error() from error
        raise


async def ends(party: Party, *, within_seconds: float = BEHIND_SECONDS) -> bool:
    """Wait for the end of a party, which may be told late; return whether it has ended."""
    with suppress(TimeoutError, CallEnded), Follower(party, lambda _: None) as follower:
        async with asyncio.timeout(within_seconds):
            while True:
                await follower.news(None)
    return party.is_over
