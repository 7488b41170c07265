"""How late the event loop is: everything that it runs waits as long."""

import asyncio
from typing import Final

from prometheus_client import Histogram

#: Seconds between two looks.
PAUSE_SECONDS: Final = 0.5


async def measure(lag: Histogram) -> None:
    """Observe how late a timer fires, again and again, until cancelled."""
    loop = asyncio.get_running_loop()
    while True:
        due = loop.time() + PAUSE_SECONDS
        await asyncio.sleep(PAUSE_SECONDS)
        lag.observe(max(0.0, loop.time() - due))
