"""How far a recording has come, by the events of its call. Sans-I/O."""

from typing import Final

from ari_proxy.client.ari.events import RecordingFailed, RecordingFinished, RecordingStarted
from ari_proxy.client.ari.model import Event
from ari_proxy.client.ari.models import LiveRecording
from ari_proxy.client.missed_events import MissedEvents

_QUEUED: Final = "queued"
_DONE: Final = "done"
_FAILED: Final = "failed"
_CANCELED: Final = "canceled"


class RecordingProgress:
    """The state of one recording."""

    def __init__(self, name: str) -> None:
        self.name = name
        #: Asterisk's name of its state.
        self.state = _QUEUED
        #: Its length; None before its end, and if its end was not seen.
        self.seconds: int | None = None
        #: Why it has failed, if Asterisk says so.
        self.cause = ""
        #: Behind which the state is to be read again.
        self.missed = MissedEvents()

    @property
    def is_over(self) -> bool:
        """Whether it has ended, was cancelled, or has failed."""
        return self.state in {_DONE, _FAILED, _CANCELED}

    @property
    def is_stored(self) -> bool:
        """Whether it has ended with something in store."""
        return self.state == _DONE

    def take(self, event: Event) -> None:
        """Handle an event of the call."""
        self.missed.take(event)
        match event:
            case RecordingStarted() | RecordingFinished() | RecordingFailed():
                if event.recording.name == self.name:
                    self.read(event.recording)

    def read(self, recording: LiveRecording) -> None:
        """Note what Asterisk has told of it."""
        if not self.is_over:
            self.state = recording.state
            self.seconds = recording.duration
            self.cause = recording.cause or ""

    def discard(self) -> None:
        """Note that it was cancelled: Asterisk tells of its end as of any other (`done`)."""
        self.state = _CANCELED

    def end(self, *, is_stored: bool) -> None:
        """Note that it is made no more, and whether it is in store."""
        if not self.is_over:
            self.state = _DONE if is_stored else _FAILED
