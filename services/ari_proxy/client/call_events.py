"""The events of a call that its handler has yet to read."""

import asyncio
from typing import Final, Self

from ari_proxy.lazy_logger import LazyLogger

from .call_end import ends
from .channel_events import replaces
from .events import Event

_log = LazyLogger()

#: Unread events to hold; a dialog has a few hundred in all.
MAX_WAITING_EVENTS: Final = 10_000
#: ari-proxy's own event that tells an application nothing (docs/reference/wire.md).
PROBE: Final = "ProxyProbe"


class CallEvents:
    """Events of a call in order, until the dialog or a channel has ended.

    A wait for the next event may be cancelled or time out without losing one.
    """

    def __init__(self, dialog_id: str, channel_id: str) -> None:
        self._dialog_id = dialog_id
        self._channel_id = channel_id
        self._waiting: asyncio.Queue[Event] = asyncio.Queue(MAX_WAITING_EVENTS)
        self._is_over = False
        self._is_read = False

    def put(self, event: Event) -> None:
        """Add an event; while nobody has begun to read, it may take the place of the oldest.

        One for which there is no place is lost, and logged.
        """
        if self._waiting.full() and not self._is_read:
            self._waiting.get_nowait()
        try:
            self._waiting.put_nowait(event)
        except asyncio.QueueFull:
            reason = f"{MAX_WAITING_EVENTS} events are unread"
            _log.error("event.lost", dialog_id=self._dialog_id, error=reason)

    def reader(self) -> Self:
        """Return itself, to be read from now on."""
        self._is_read = True
        return self

    def __aiter__(self) -> Self:
        return self

    async def __anext__(self) -> Event:
        if self._is_over:
            raise StopAsyncIteration
        # Nothing is awaited after this: a reader cancelled here has removed no event.
        event = await self._waiting.get()
        if replaces(event, self._channel_id):
            self._channel_id = event.channel.id
        self._is_over = ends(event, self._channel_id)
        return event
