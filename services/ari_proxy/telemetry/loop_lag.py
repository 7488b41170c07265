"""Lag of the event loop: how late its timers fire, and so everything else it runs."""

import asyncio
from typing import Final

from prometheus_client import Histogram

#: Seconds between two measurements.
PAUSE_SECONDS: Final = 0.5


async def measure(lag: Histogram) -> None:
    """Measure the lag until cancelled."""
    loop = asyncio.get_running_loop()
    while True:
        due = loop.time() + PAUSE_SECONDS
        await asyncio.sleep(PAUSE_SECONDS)
        lag.observe(max(0.0, loop.time() - due))
