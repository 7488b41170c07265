"""A dialog: one call as an application sees it, with all its channels. Sans-I/O."""

from typing import Literal

from ari_proxy.protocol import ids, topics
from ari_proxy.protocol.ids import DialogId, Token
from ari_proxy.protocol.messages import ObjectKind, ObjectRegistration

from . import phase
from .held_events import HeldEvents
from .phase import DeliveryPhase, DeliveryTrigger, LifePhase, LifeTrigger
from .proxy_events import EndReason

#: What a dialog is found by; `former` is a channel in the application that it has left.
BoundKind = ObjectKind | Literal["former"]


class Dialog:
    """State of one dialog; `phase.py` says which changes there are."""

    __slots__ = (
        "announce",
        "application",
        "bound",
        "channel_id",
        "channels",
        "delivery",
        "dialog_id",
        "end_reason",
        "heard_at",
        "held",
        "life",
        "lost_start",
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
        self.delivery = DeliveryPhase.PENDING
        #: Events that wait for its application.
        self.held = HeldEvents()
        #: Of an adopted one: the StasisStart for an application that has not heard of it, or b''.
        self.lost_start = b""
        self.life = LifePhase.LIVE
        #: Why it is over, once it is.
        self.end_reason: EndReason = "channels_left"
        #: Channels that keep it alive, and whether each has entered Stasis.
        self.channels: dict[str, bool] = {}
        #: Channels that left; another StasisStart of one starts a new dialog. None until there are
        #: any.
        self.released: set[str] | None = None
        #: What the router has it by.
        self.bound: list[tuple[BoundKind, str]] = []
        self.started_at = now
        #: When its application was last known to listen.
        self.heard_at = now

    @property
    def token(self) -> Token:
        """The part of its id that stands in the ids of its objects."""
        return ids.token_of_dialog(self.dialog_id)

    # Delivery

    def next_sequence(self) -> int:
        """Return the number of its next event."""
        self.sequence += 1
        return self.sequence

    def hold(self, event: bytes) -> None:
        """Let an event wait for the application."""
        self.held.append(event)
        if self.delivery is DeliveryPhase.PENDING:
            self.advance(DeliveryTrigger.HELD)

    def advance(self, trigger: DeliveryTrigger) -> None:
        """Take what has happened to its delivery.

        Raises:
            IllegalTransitionError: it can't happen in this phase.
        """
        self.delivery = phase.after(phase.DELIVERY, self.delivery, trigger)

    def adopt(self, sequence: int, lost_start: bytes = b"") -> None:
        """Go on with a dialog that another process has begun.

        Args:
            sequence: higher than any that was used.
            lost_start: the StasisStart for an application that has not heard of it, or b''.
        """
        self.sequence, self.lost_start = sequence, lost_start
        self.advance(DeliveryTrigger.ADOPTED)

    def announce_anew(self) -> None:
        """Begin an adopted dialog from its StasisStart: no application has heard of it."""
        if self.lost_start:
            self.held.prepend(self.lost_start)
        self.lost_start = b""
        self.advance(DeliveryTrigger.UNHEARD)

    def deliver(self, now: float) -> tuple[bytes, ...]:
        """Open it, since its application listens; return the events that have waited."""
        self.advance(DeliveryTrigger.DELIVERED)
        self.lost_start = b""
        self.heard_at = now
        return self.held.clear()

    def abandon(self) -> tuple[bytes, ...]:
        """Drop its events from now on, since nobody serves it; return those that have waited."""
        self.advance(DeliveryTrigger.GIVEN_UP)
        return self.held.clear()

    def note_heard(self, now: float) -> None:
        """Note that its application listens."""
        self.heard_at = now

    @property
    def is_abandoned(self) -> bool:
        """True if its events are dropped."""
        return self.delivery in phase.ABANDONED

    @property
    def is_known_to_application(self) -> bool:
        """True if an application has had its AppStart or its events, or has chosen the dialog."""
        had = self.delivery in {DeliveryPhase.ACCEPTED, DeliveryPhase.OPEN, DeliveryPhase.DESERTED}
        return had or not self.announce

    # Life

    def end(self, reason: EndReason) -> None:
        """Take that it is over."""
        self.life = phase.after(phase.LIFE, self.life, LifeTrigger.ENDED)
        self.end_reason = reason

    def note_end_told(self) -> None:
        """Note that its application was sent its end."""
        self.life = phase.after(phase.LIFE, self.life, LifeTrigger.TOLD)

    def revive(self) -> None:
        """Let it live again, since its client has asked for another channel."""
        self.life = phase.after(phase.LIFE, self.life, LifeTrigger.REVIVED)
        if self.is_abandoned:
            self.advance(DeliveryTrigger.REVIVED)

    def forget(self) -> None:
        """Take that nothing belongs to it any more."""
        self.life = phase.after(phase.LIFE, self.life, LifeTrigger.FORGOTTEN)

    @property
    def is_ended(self) -> bool:
        """True once it is over; late events still belong to it."""
        return self.life is not LifePhase.LIVE

    @property
    def is_call(self) -> bool:
        """Whether somebody is left alone if no application serves it."""
        return self.announce or bool(self.channels)

    @property
    def is_served(self) -> bool:
        """True if a call is under way with an application."""
        return (
            self.delivery is DeliveryPhase.OPEN
            and self.life is LifePhase.LIVE
            and bool(self.channels)
        )

    # Channels

    def may_have(self, channel: str) -> bool:
        """Return whether a channel may be its own: it is open, and the channel has not left it."""
        return not self.is_ended and channel not in (self.released or ())

    def keeps(self, binding: ObjectRegistration) -> bool:
        """Return whether the name of an object that it has stays its own, whoever binds it anew."""
        if binding.kind == "channel":
            return self.may_have(binding.object_id)
        # A recording is stored by now. Of a bridge that is deleted after the application's last
        # channel Asterisk tells no end: the next dialog must not lose its events.
        is_own = binding.dialog_id == self.dialog_id
        return is_own or binding.kind == "recording" or not self.is_ended

    def names_of(self, kind: ObjectKind) -> list[str]:
        """Return the names of its objects of a kind."""
        return [name for bound, name in self.bound if bound == kind]

    def has_lost(self, channel: str) -> None:
        """Note that a channel has left."""
        if self.released is None:
            self.released = set()
        self.released.add(channel)

    def enter(self, application: str) -> None:
        """Take the application that a channel has entered, if there was none while it rang."""
        self.application = self.application or application

    def begin_with(self, channel: str) -> None:
        """Take the channel that its client has asked for as the one that begins it."""
        if self.announce and not self.channel_id:
            self.channel_id = channel

    def restore(  # noqa: PLR0913  what another ingest has told of it
        self,
        *,
        application: str,
        channel_id: str,
        announce: bool,
        sequence: int,
        released: tuple[str, ...],
        delivery: DeliveryPhase,
        lost_start: bytes,
    ) -> None:
        """Take the state that it had in another ingest."""
        self.application, self.channel_id, self.announce = application, channel_id, announce
        self.sequence, self.released = sequence, set(released) or None
        self.delivery, self.lost_start = delivery, lost_start
