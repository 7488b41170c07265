"""The end of a call, as its events tell it. Sans-I/O.

The call is over once its first channel, or the one that has taken its place, has left the
application, or the dialog has ended.
"""

from typing import Final

from .channel_events import replaces
from .errors import CallEnded, Who
from .events import ChannelHangupRequest, Event

#: ari-proxy's own event (docs/reference/wire.md).
DIALOG_ENDED: Final = "ProxyDialogEnded"


class CallEnd:
    """Whether a call is over, and why."""

    def __init__(self, call_id: str, channel_id: str) -> None:
        self.call_id = call_id
        self._channel_id = channel_id
        self._hangup: ChannelHangupRequest | None = None
        self._who: Who | None = None

    @property
    def is_over(self) -> bool:
        """True once it has ended."""
        return self._who is not None

    def follow(self, event: Event) -> None:
        """Handle an event of the call."""
        if self.is_over:
            return
        if replaces(event, self._channel_id):
            self._channel_id, self._hangup = event.channel.id, None
        elif ends(event, self._channel_id):
            self._who = self._who_ends(event)
        elif isinstance(event, ChannelHangupRequest) and event.channel_id == self._channel_id:
            self._hangup = self._hangup or event

    def _who_ends(self, event: Event) -> Who:
        if event.type == DIALOG_ENDED:
            return "proxy"
        return "command" if self._hangup is None or self._hangup.soft else "peer"

    def error(self) -> CallEnded:
        """Return the error that stands for the end."""
        cause = tech_cause = None
        # In one that a command has caused, Asterisk's `cause` is a flag of its own (32), none of
        # Q.850.
        if self._hangup is not None and not self._hangup.soft:
            cause, tech_cause = self._hangup.cause, self._hangup.tech_cause
        return CallEnded(self.call_id, self._who or "proxy", cause=cause, tech_cause=tech_cause)


def ends(event: Event, channel_id: str) -> bool:
    """Return whether an event ends the call that a channel has begun."""
    if event.type == DIALOG_ENDED:
        return True
    return event.type == "StasisEnd" and event.channel_id == channel_id
