"""A dialog: one call as an application sees it, with all its channels. Sans-I/O."""

from collections.abc import Iterator, Mapping
from typing import Literal

from ari_proxy.protocol import ids, topics
from ari_proxy.protocol.ids import DialogId, Token
from ari_proxy.protocol.messages import ObjectKind, ObjectRegistration

from . import phase
from .held_events import HeldEvents
from .phase import DeliveryPhase, DeliveryTrigger, LifePhase, LifeTrigger
from .proxy_events import EndReason

#: What a dialog is found by; `former` is a channel in the application that it has left.
#: `offered` one that Asterisk offers to the application.
BoundKind = ObjectKind | Literal["former", "offered"]


class Dialog:
    """State of one dialog. Only its methods change it; `phase.py` has the transitions."""

    __slots__ = (
        "_bound",
        "_channels",
        "announce",
        "application",
        "channel_id",
        "delivery",
        "dialog_id",
        "end_reason",
        "heard_at",
        "held",
        "is_reassigned",
        "life",
        "lost_start",
        "may_be_taken",
        "reassignments",
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
        #: The channel with whose StasisStart it began, or ''.
        self.channel_id = channel_id
        #: False if the client chose the dialog: it listens already, or will.
        self.announce = announce
        self.topic = topics.events(dialog_id)
        #: Number of the last event.
        self.sequence = 0
        self.delivery = DeliveryPhase.PENDING
        #: Events that wait for its application.
        self.held = HeldEvents()
        #: Of an adopted one: the StasisStart for an application that has not received it, or b''.
        self.lost_start = b""
        #: Whether an application may have its AppStart already: its confirmation was lost.
        self.may_be_taken = False
        #: Whether it is offered as a call whose instance is gone, until another one listens.
        self.is_reassigned = False
        #: How often another instance has got it, as far as this process knows.
        self.reassignments = 0
        self.life = LifePhase.LIVE
        #: Why it has ended, once it has.
        self.end_reason: EndReason = "channels_left"
        self._channels: dict[str, bool] = {}
        #: Channels that left; another StasisStart of one starts a new dialog. None until there are
        #: any.
        self.released: set[str] | None = None
        #: The entries that the object index has for it.
        self._bound: list[tuple[BoundKind, str]] = []
        self.started_at = now
        #: When its application was last known to listen.
        self.heard_at = now

    @property
    def token(self) -> Token:
        """The part of its id that is in the ids of its objects."""
        return ids.token_of_dialog(self.dialog_id)

    @property
    def channels(self) -> Mapping[str, bool]:
        """Channels that keep it alive, and whether each has entered Stasis."""
        return self._channels

    # Delivery

    def next_sequence(self) -> int:
        """Return the number of its next event."""
        self.sequence += 1
        return self.sequence

    def hold(self, event: bytes, limit: int | None = None) -> list[bytes]:
        """Hold an event for the application.

        Args:
            event: as it will be published.
            limit: bytes that may be held; None for any number.

        Returns:
            Older events that are dropped for it.
        """
        self.held.append(event)
        if self.delivery is DeliveryPhase.PENDING:
            self.advance(DeliveryTrigger.HELD)
        return [] if limit is None else self.held.trim(limit)

    def advance(self, trigger: DeliveryTrigger) -> None:
        """Enter the phase of delivery that a trigger leads to.

        Raises:
            IllegalTransitionError: the trigger has no place in this phase.
        """
        self.delivery = phase.after(phase.DELIVERY, self.delivery, trigger)

    def adopt(self, sequence: int, lost_start: bytes = b"") -> None:
        """Continue a dialog that another process has begun.

        Args:
            sequence: higher than any that was used.
            lost_start: the StasisStart for an application that has not received it, or b''.
        """
        self.sequence, self.lost_start = sequence, lost_start
        self.advance(DeliveryTrigger.ADOPTED)

    def note_doubt(self, *, may_be_taken: bool) -> None:
        """Record whether an application may have its AppStart without our knowing."""
        self.may_be_taken = may_be_taken

    def announce_again(self) -> None:
        """Restart an adopted dialog from its StasisStart: no application listens to it."""
        if self.lost_start:
            self.held.prepend(self.lost_start)
        self.lost_start = b""
        self.advance(DeliveryTrigger.UNHEARD)

    def deliver(self, now: float) -> tuple[bytes, ...]:
        """Open it, since its application listens; return the events that were held."""
        self.advance(DeliveryTrigger.DELIVERED)
        self.lost_start, self.is_reassigned = b"", False
        self.heard_at = now
        return self.held.clear()

    def abandon(self) -> tuple[bytes, ...]:
        """Drop its events from now on, since nobody serves it; return those that were held."""
        self.advance(DeliveryTrigger.GIVEN_UP)
        self.is_reassigned = False
        return self.held.clear()

    def note_reassignment(self, *, is_reassigned: bool) -> None:
        """Record whether it is offered as a call whose instance is gone."""
        self.is_reassigned = is_reassigned

    def count_reassignment(self) -> None:
        """Record that another instance has got it."""
        self.reassignments += 1

    def note_heard(self, now: float) -> None:
        """Record that its application listens."""
        self.heard_at = now

    @property
    def is_abandoned(self) -> bool:
        """True if its events are dropped."""
        return self.delivery in phase.ABANDONED

    @property
    def is_known_to_application(self) -> bool:
        """True if an application got its AppStart or its events, or has chosen the dialog."""
        return self.delivery in phase.KNOWN or not self.announce

    # Life

    def offer(self) -> None:
        """Record that Asterisk offers its channel to other applications as well."""
        self.life = LifePhase.UNCLAIMED

    def claim(self) -> None:
        """Record that Asterisk has given us the channel that it offered."""
        self.life = phase.after(phase.LIFE, self.life, LifeTrigger.CLAIMED)

    def end(self, reason: EndReason) -> None:
        """Record that it has ended, and why."""
        self.life = phase.after(phase.LIFE, self.life, LifeTrigger.ENDED)
        self.end_reason = reason

    def note_end_reported(self) -> None:
        """Record that its ProxyDialogEnded was published."""
        self.life = phase.after(phase.LIFE, self.life, LifeTrigger.REPORTED)

    def revive(self) -> None:
        """Reopen it, since its client has asked for another channel."""
        self.life = phase.after(phase.LIFE, self.life, LifeTrigger.REVIVED)
        if self.is_abandoned:
            self.advance(DeliveryTrigger.REVIVED)

    def forget(self) -> None:
        """Record that nothing belongs to it any more."""
        self.life = phase.after(phase.LIFE, self.life, LifeTrigger.FORGOTTEN)

    @property
    def is_ended(self) -> bool:
        """True once it has ended; late events still belong to it."""
        return self.life in phase.OVER

    @property
    def is_offered(self) -> bool:
        """True as long as Asterisk offers its channel, and until that channel enters Stasis."""
        return self.life in phase.OFFERED_CALL

    @property
    def is_call(self) -> bool:
        """True if a caller is left alone if no application serves it."""
        return self.announce or bool(self._channels)

    @property
    def is_served(self) -> bool:
        """True if a call is under way with an application."""
        is_open = self.delivery is DeliveryPhase.OPEN and self.life is LifePhase.LIVE
        return is_open and bool(self._channels)

    # Channels

    @property
    def main_channel(self) -> str:
        """The channel that stands for it: the first of those in Stasis; '' without one."""
        if self._channels.get(self.channel_id):
            return self.channel_id
        return next((name for name, entered in self._channels.items() if entered), "")

    def may_have(self, channel: str) -> bool:
        """Return whether a channel may be its own: it is live, and the channel has not left it."""
        return not self.is_ended and channel not in (self.released or ())

    def has_released(self, channel: str) -> bool:
        """Return whether a channel has left it."""
        return self.released is not None and channel in self.released

    def count(self, channel: str, *, entered: bool) -> None:
        """Count a channel among those that keep it alive; one that has entered Stasis stays so."""
        self._channels[channel] = entered or self._channels.get(channel, False)
        if entered and self.is_offered and channel == self.channel_id:
            self.life = phase.after(phase.LIFE, self.life, LifeTrigger.ENTERED)

    def release(self, channel: str) -> bool:
        """Remove a channel that keeps it alive; return whether there was one of that name."""
        if self._channels.pop(channel, None) is None:
            return False
        self.note_released(channel)
        return True

    def note_released(self, channel: str) -> None:
        """Record that a channel has left."""
        if self.released is None:
            self.released = set()
        self.released.add(channel)

    def readmit(self, channel: str) -> None:
        """Allow a channel that has left to be its own again."""
        if self.released:
            self.released.discard(channel)

    def expect(self, channel: str) -> None:
        """Expect a channel that its client has asked for; the first one may begin it."""
        self.readmit(channel)
        if self.announce and not self.channel_id:
            self.channel_id = channel

    def enter(self, application: str) -> None:
        """Set the application that a channel has entered, if there was none while it rang."""
        self.application = self.application or application

    # Objects

    def keeps(self, registration: ObjectRegistration) -> bool:
        """Return whether an object of the same name, which it has, stays its own."""
        if registration.kind == "channel":
            return self.may_have(registration.object_id)
        # A recording is stored by now. For a bridge that is deleted after the application's last
        # channel Asterisk sends no event: the next dialog must not lose its events.
        is_own = registration.dialog_id == self.dialog_id
        return is_own or registration.kind == "recording" or not self.is_ended

    def bind(self, kind: BoundKind, name: str) -> None:
        """Record an entry in the object index."""
        self._bound.append((kind, name))

    def unbind(self, kind: BoundKind, name: str) -> None:
        """Remove the record of an entry."""
        self._bound.remove((kind, name))

    def unbind_all(self) -> Iterator[tuple[BoundKind, str]]:
        """Remove the records of all entries and yield them."""
        while self._bound:
            yield self._bound.pop()

    def names_of(self, kind: ObjectKind) -> list[str]:
        """Return the names of its objects of a kind."""
        return [name for bound, name in self._bound if bound == kind]

    @property
    def objects(self) -> dict[ObjectKind, list[str]]:
        """The names of its objects by kind."""
        found: dict[ObjectKind, list[str]] = {}
        for kind, name in self._bound:
            if kind != "former" and kind != "offered":  # noqa: PLR1714  mypy narrows so
                found.setdefault(kind, []).append(name)
        return found

    @property
    def awaited_objects(self) -> list[str]:
        """Its channels and bridges by name, whether or not they exist yet."""
        return self.names_of("channel") + self.names_of("bridge")

    # Hand-over

    def restore(  # noqa: PLR0913  the state that another ingest has handed over
        self,
        *,
        application: str,
        channel_id: str,
        announce: bool,
        sequence: int,
        released: tuple[str, ...],
        delivery: DeliveryPhase,
        lost_start: bytes,
        may_be_taken: bool,
    ) -> tuple[bytes, ...]:
        """Set the state that it had in another ingest; return the events that were held here."""
        self.application, self.channel_id, self.announce = application, channel_id, announce
        self.sequence, self.released = sequence, set(released) or None
        self.delivery, self.lost_start = delivery, lost_start
        self.may_be_taken = may_be_taken
        return self.held.clear()
