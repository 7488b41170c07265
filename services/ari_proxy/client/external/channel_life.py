"""The life of a channel that was requested for an application, by the events. Sans-I/O."""

from typing import Final

from ari_proxy.client.ari.events import (
    ChannelDestroyed,
    ChannelHangupRequest,
    StasisEnd,
    StasisStart,
)
from ari_proxy.client.ari.model import Event
from ari_proxy.client.ari.models import Channel
from ari_proxy.client.errors import Who
from ari_proxy.client.events import ProxyDialogEnded
from ari_proxy.client.missed_events import MissedEvents

#: A channel's application in the dialplan while it is in one of ARI.
_STASIS: Final = "Stasis"


class ChannelLife:
    """Whether a channel is in the application, and whether it has ended."""

    def __init__(self, channel_id: str) -> None:
        self._channel_id = channel_id
        #: Whether it has entered the application.
        self.has_begun = False
        self.is_over = False
        #: Who has ended it.
        self.who: Who = "peer"
        #: A Q.850 cause; None if none was told.
        self.cause: int | None = None
        #: Behind which the channel is to be read again.
        self.missed = MissedEvents()

    def take(self, event: Event) -> None:
        """Handle an event of the dialog."""
        self.missed.take(event)
        if isinstance(event, ProxyDialogEnded):
            self.end("proxy")
        elif event.channel_id == self._channel_id:
            self._take_own(event)

    def _take_own(self, event: Event) -> None:
        match event:
            case StasisStart():
                self.has_begun = True
            case ChannelHangupRequest() if event.soft:
                self.who = "command"
            case StasisEnd():
                self.end(self.who)
            case ChannelDestroyed():
                self.cause = event.cause or None
                self.end(self.who)

    def end(self, who: Who) -> None:
        """Note that it has ended."""
        if not self.is_over:
            self.who = who
        self.is_over = True

    def read(self, channel: Channel | None) -> None:
        """Note what Asterisk has told of it; None if there is no such channel."""
        if channel is None:
            self.end(self.who)
        elif channel.dialplan.app_name == _STASIS:
            self.has_begun = True
