"""The interruption of an open dialog: its application does not listen for now.

It is on its way back to the bus, or behind a link between servers of the bus that is cut. Its
events wait meanwhile, those that the bus gives back first.
"""

import asyncio
import contextlib

from ari_proxy.bus.base import Bus
from ari_proxy.ingest.publishing.dialog_stream import DialogStream

from .announcement import Announcement, DialogOverError


async def has_come_back(
    announcement: Announcement, bus: Bus, stream: DialogStream, *, seconds: float | None
) -> bool:
    """Return once the application of an interrupted dialog has got the first event that waits.

    Args:
        announcement: of the dialog.
        bus: where the application was.
        stream: of the dialog's events.
        seconds: after which False is returned, not counting an outage of the bus; None for any
            number.
    """
    while True:
        await bus.wait_connected()
        reconnects = bus.reconnects
        with contextlib.suppress(TimeoutError, DialogOverError):
            async with asyncio.timeout(seconds):
                await announcement.flush()
                stream.settle(announcement.dialog)
                await announcement.wait_back()
                return True
        if bus.is_connected and bus.reconnects == reconnects:
            return False
