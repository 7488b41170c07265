"""A dialog: one call as an application sees it, with all its channels."""

from collections import deque

from ari_proxy.protocol import ids, topics
from ari_proxy.protocol.ids import DialogId, Token


class Dialog:
    """State of one dialog: the router changes what is routed, the pipeline what is held."""

    __slots__ = (
        "announce",
        "application",
        "bound",
        "channel_id",
        "channels",
        "dialog_id",
        "expires_at",
        "first_event_at",
        "held",
        "held_bytes",
        "is_abandoned",
        "is_ended",
        "is_setting_up",
        "released",
        "sequence",
        "started_at",
        "topic",
    )

    def __init__(
        self, dialog_id: DialogId, application: str, channel_id: str, *, announce: bool, now: float
    ) -> None:
        self.dialog_id = dialog_id
        self.application = application
        #: Whose StasisStart began it, or ''.
        self.channel_id = channel_id
        #: False if the client chose the dialog: it listens already, or will.
        self.announce = announce
        self.topic = topics.events(dialog_id)
        #: Of the last event; the next one gets one more.
        self.sequence = 0
        #: Channels that keep it alive.
        self.channels: set[str] = set()
        #: Channels that left; another StasisStart of one starts a new dialog. None until there are
        #: any.
        self.released: set[str] | None = None
        #: The keys under which the router has it: (table, key).
        self.bound: list[tuple[dict[str, Dialog], str]] = []
        self.started_at = now
        self.first_event_at = 0.0
        #: When the router forgets it; None while it has channels.
        self.expires_at: float | None = None
        self.is_ended = False
        #: Events that wait until the application has subscribed; None once it has.
        self.held: deque[bytes] | None = deque()
        self.held_bytes = 0
        self.is_setting_up = False
        #: True if nobody wanted it: its events go nowhere.
        self.is_abandoned = False

    @property
    def token(self) -> Token:
        """The part of its id that stands in the ids of its objects."""
        return ids.token_of_dialog(self.dialog_id)
