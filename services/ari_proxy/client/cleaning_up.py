"""Cleaning up behind a helper that was cancelled or has failed."""

import asyncio
from collections.abc import Awaitable
from typing import Final

from ari_proxy.lazy_logger import LazyLogger

from .errors import ClientError, NotFound

_log = LazyLogger()

#: Seconds for one thing to be cleaned up: whoever has cancelled waits for it.
CLEAN_UP_SECONDS: Final = 5.0


async def clean_up(
    ending: Awaitable[None], what: str, *, within_seconds: float = CLEAN_UP_SECONDS
) -> None:
    """Await a request that ends something; one that fails is logged.

    Args:
        ending: the request.
        what: names in the log what it should end, like `playback 1.2`.
        within_seconds: for the answer.
    """
    try:
        async with asyncio.timeout(within_seconds):
            await ending
    except NotFound:
        pass  # It has ended by itself.
    except (ClientError, TimeoutError) as error:
        _log.warning("cleaning_up.failed", what=what, error=str(error) or "no answer in time")
