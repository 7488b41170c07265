"""What helpers need of a call, or of another leg in it."""

from collections.abc import Callable
from contextlib import AbstractContextManager
from typing import Protocol

from .ari import Ari
from .ari.model import Event
from .channel_state import TrackedChannels
from .errors import CallEnded


class Party(Protocol):
    """One channel of a dialog."""

    #: The id of its dialog.
    dialog_id: str
    #: The Stasis application that has it.
    application: str
    #: The id of its channel.
    channel_id: str
    #: The operations of its Asterisk.
    ari: Ari
    #: What is known of the dialog's channels.
    tracked_channels: TrackedChannels

    @property
    def is_over(self) -> bool:
        """True once it has left the application."""
        ...

    def end_error(self) -> CallEnded:
        """Return the error that stands for its end."""
        ...

    def following(self, listener: Callable[[Event], None]) -> AbstractContextManager[None]:
        """Call a function with each event of the dialog that arrives during a block, in order."""
        ...
