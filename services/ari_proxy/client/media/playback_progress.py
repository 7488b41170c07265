"""How far a playback has come, by the events of its call. Sans-I/O.

A playback is over when Asterisk says so, in an event or in answer to a question: after a gap in the
events, or when none has come for long, its state is to be read again.
"""

from typing import Final

from ari_proxy.client.ari.events import (
    ChannelDtmfReceived,
    PlaybackContinuing,
    PlaybackFinished,
    PlaybackStarted,
)
from ari_proxy.client.ari.model import Event
from ari_proxy.client.events import ProxyGap
from ari_proxy.client.missed_events import MissedEvents

#: All digits of a telephone.
ANY_DIGIT: Final = "0123456789*#ABCD"
#: Asterisk's names of states.
QUEUED: Final = "queued"
_DONE: Final = "done"
_FAILED: Final = "failed"


class PlaybackProgress:
    """The state of one playback."""

    def __init__(self, playback_id: str) -> None:
        self.playback_id = playback_id
        #: Asterisk's name of its state.
        self.state = QUEUED
        #: What is played, or was played last; '' before anything is.
        self.media_uri = ""
        #: Behind which the state is to be read again.
        self.missed = MissedEvents()

    @property
    def has_begun(self) -> bool:
        """Whether it has left the queue."""
        return self.state != QUEUED

    @property
    def is_over(self) -> bool:
        """Whether it has ended or failed."""
        return self.state in {_DONE, _FAILED}

    @property
    def has_failed(self) -> bool:
        """Whether Asterisk could not play it."""
        return self.state == _FAILED

    def take(self, event: Event) -> bool:
        """Handle an event of the call; return whether it concerns this playback."""
        self.missed.take(event)
        if isinstance(event, ProxyGap):
            return not self.is_over
        if not isinstance(event, PlaybackStarted | PlaybackContinuing | PlaybackFinished):
            return False
        if event.playback.id != self.playback_id:
            return False
        self.media_uri = event.playback.media_uri
        if not self.is_over:
            self.state = event.playback.state
        return True

    def read(self, state: str | None) -> None:
        """Note the state that Asterisk has told; None if it does not know the playback any more."""
        if not self.is_over:
            self.state = state or _DONE


class Interruption:
    """The digit with which a caller interrupts a playback."""

    def __init__(self, channel_id: str, digits: str) -> None:
        """Wait for a digit.

        Args:
            channel_id: of the caller's channel.
            digits: those that interrupt; `any` for all.
        """
        self._channel_id = channel_id
        self._digits = ANY_DIGIT if digits == "any" else digits
        #: The first one that was pressed, or ''.
        self.digit = ""

    def take(self, event: Event) -> None:
        """Handle an event of the call."""
        if self.digit or not isinstance(event, ChannelDtmfReceived):
            return
        if event.channel.id == self._channel_id and event.digit in self._digits:
            self.digit = event.digit
