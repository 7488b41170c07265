"""Requests that ari-proxy can't pass on for a moment: until the next ingest has taken over.

What a request creates has to be known to ingest before Asterisk is asked. So one is refused while
there is no ingest; Asterisk has not got it then.
"""

import asyncio
from collections.abc import Awaitable, Callable
from typing import Final

from .ari.transport import AriAnswer
from .errors import is_unregistered

#: Seconds between two attempts.
PAUSE_SECONDS: Final = 0.5


async def until_passed(
    ask: Callable[[float], Awaitable[AriAnswer]],
    *,
    within_seconds: float,
    pause_seconds: float = PAUSE_SECONDS,
) -> AriAnswer:
    """Return the answer to a request, which is repeated while there is no ingest.

    Args:
        ask: sends the request; gets the seconds that are left.
        within_seconds: for all of it; then the refusal is returned.
        pause_seconds: between two attempts.
    """
    loop = asyncio.get_running_loop()
    deadline = loop.time() + within_seconds
    while True:
        answer = await ask(deadline - loop.time())
        if not is_unregistered(answer.status, answer.body):
            return answer
        if loop.time() + pause_seconds >= deadline:
            return answer
        await asyncio.sleep(pause_seconds)
