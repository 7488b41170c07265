"""The transfers that a phone has asked for, by the events of its call. Sans-I/O."""

from collections import deque
from datetime import datetime
from typing import Final

from ari_proxy.client.ari.events import ChannelTransfer
from ari_proxy.client.ari.model import Event
from ari_proxy.client.channel_events import replaces

#: Transfers to keep until somebody looks; a phone has one under way.
MAX_WAITING: Final = 10


class TransferQueue:
    """What the phone of one channel has asked for, and nobody has looked at yet."""

    def __init__(self, channel_id: str) -> None:
        self._channel_id = channel_id
        self._last: datetime | None = None
        self._waiting: deque[ChannelTransfer] = deque(maxlen=MAX_WAITING)

    def take(self, event: Event) -> None:
        """Handle an event of the call."""
        if replaces(event, self._channel_id):
            self._channel_id = event.channel.id
        if not isinstance(event, ChannelTransfer):
            return
        if event.state is not None:  # Tells what an application has reported.
            return
        if event.referred_by.source_channel.id != self._channel_id:
            return
        # The same comes once for each of the call's channels and bridges that it names.
        if event.timestamp != self._last:
            self._last = event.timestamp
            self._waiting.append(event)

    def next(self) -> ChannelTransfer | None:
        """Return what was asked for first, once; None if nothing was."""
        return self._waiting.popleft() if self._waiting else None
