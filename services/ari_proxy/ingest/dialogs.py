"""A dialog: one call as an application sees it, with all its channels."""

from collections import deque

from ari_proxy.protocol import ids, topics
from ari_proxy.protocol.ids import DialogId, Token
from ari_proxy.protocol.messages import Binding

from .notices import EndReason


class Dialog:
    """State of one dialog: the router changes what is routed, the pipeline what is held."""

    __slots__ = (
        "announce",
        "announced_at_ns",
        "application",
        "bound",
        "channel_id",
        "channels",
        "dialog_id",
        "end_reason",
        "expires_at",
        "first_event_at",
        "heard_at",
        "held",
        "held_bytes",
        "is_abandoned",
        "is_announced",
        "is_end_told",
        "is_ended",
        "is_setting_up",
        "lost_start",
        "released",
        "sequence",
        "started_at",
        "tell_at",
        "topic",
        "traceparent",
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
        #: True once an application has taken its AppStart.
        self.is_announced = False
        #: Unix nanoseconds since which its AppStart is offered; 0 before that.
        self.announced_at_ns = 0
        #: While it is not known whether an application has heard of a dialog that was adopted: the
        #: StasisStart for one that has not, or b'' if there is none. None otherwise.
        self.lost_start: bytes | None = None
        self.topic = topics.events(dialog_id)
        #: Of the last event; the next one gets one more.
        self.sequence = 0
        #: Channels that keep it alive, and whether each has entered Stasis.
        self.channels: dict[str, bool] = {}
        #: Channels that left; another StasisStart of one starts a new dialog. None until there are
        #: any.
        self.released: set[str] | None = None
        #: The keys under which the router has it: (table, key).
        self.bound: list[tuple[dict[str, Dialog], str]] = []
        self.started_at = now
        self.first_event_at = 0.0
        #: When its application was last known to listen.
        self.heard_at = now
        #: When the router forgets it; None while it has channels.
        self.expires_at: float | None = None
        self.is_ended = False
        #: Why it is over, once it is.
        self.end_reason: EndReason = "channels_left"
        #: When its end is to be told.
        self.tell_at = 0.0
        #: True once its application was sent a ProxyDialogEnded.
        self.is_end_told = False
        #: Events that wait until the application has subscribed; None once it has.
        self.held: deque[bytes] | None = deque()
        self.held_bytes = 0
        self.is_setting_up = False
        #: Of its AppStart's span, or ''.
        self.traceparent = ""
        #: True if nobody wanted it: its events go nowhere.
        self.is_abandoned = False

    @property
    def token(self) -> Token:
        """The part of its id that stands in the ids of its objects."""
        return ids.token_of_dialog(self.dialog_id)

    @property
    def is_call(self) -> bool:
        """Whether somebody is left alone if no application serves it."""
        return self.announce or bool(self.channels)

    def may_have(self, channel: str) -> bool:
        """Return whether a channel may be its own: it is open, and the channel has not left it."""
        return not self.is_ended and channel not in (self.released or ())

    def keeps(self, binding: Binding) -> bool:
        """Return whether the name of an object that it has stays its own, whoever binds it anew."""
        if binding.kind == "channel":
            return self.may_have(binding.object_id)
        # A recording is stored by now. Of a bridge that is deleted after the application's last
        # channel Asterisk tells no end: the next dialog must not lose its events.
        is_own = binding.dialog_id == self.dialog_id
        return is_own or binding.kind == "recording" or not self.is_ended

    def names_in(self, table: dict[str, "Dialog"]) -> list[str]:
        """Return the objects of a table that are bound to it."""
        return [name for bound, name in self.bound if bound is table]

    def has_lost(self, channel: str) -> None:
        """Note that a channel has left."""
        if self.released is None:
            self.released = set()
        self.released.add(channel)

    def take_held(self) -> tuple[bytes, ...]:
        """Return what waits, the oldest first; nothing waits any more."""
        held, self.held, self.held_bytes = tuple(self.held or ()), None, 0
        return held
