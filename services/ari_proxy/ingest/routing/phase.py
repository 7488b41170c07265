"""The phases of a dialog and the transitions between them. Sans-I/O.

A dialog is in two phases at a time, since they do not depend on each other: a caller may hang up
while the AppStart is still being offered. `DeliveryPhase` says where the dialog's events go,
`LifePhase` whether it has channels.

    PENDING ──HELD──▶ OFFERED ──ACCEPTED──▶ ACCEPTED ──DELIVERED──▶ OPEN
       │                │  ▲                 │    ▲                  │
       │                │  │                 └─GIVEN_UP──┐  GIVEN_UP┘
    ADOPTED      GIVEN_UP  UNHEARD                ▼    ▼
       │                ▼  │                  DESERTED ──REVIVED──▶ ACCEPTED
       ▼           UNWANTED│
    ADOPTED ───────────────┘

    LIVE ──ENDED──▶ ENDED ──REPORTED──▶ REPORTED; from both REVIVED leads back to LIVE, and
    FORGOTTEN to FORGOTTEN. A call that Asterisk offers to several applications comes before LIVE:

    UNCLAIMED ──CLAIMED──▶ CLAIMED ──ENTERED──▶ LIVE; ENTERED may come first, ENDED at any time.
"""

from collections.abc import Mapping
from enum import Enum, auto
from typing import Final, TypeVar

Phase = TypeVar("Phase", bound=Enum)
Trigger = TypeVar("Trigger", bound=Enum)


class DeliveryPhase(Enum):
    """Where the events of a dialog go."""

    #: It has had no event yet.
    PENDING = auto()
    #: Events are held: its AppStart is being offered, or the client that chose it is awaited.
    OFFERED = auto()
    #: Events are held: an instance has accepted the AppStart, and gets the first event next.
    ACCEPTED = auto()
    #: Events are held: found on Asterisk, and it is not known yet whether an application serves it.
    ADOPTED = auto()
    #: Events pass.
    OPEN = auto()
    #: Events are dropped: no application has accepted the AppStart.
    UNWANTED = auto()
    #: Events are dropped: its application has gone.
    DESERTED = auto()


class LifePhase(Enum):
    """Phases of a dialog's life: live, ended, and in the end forgotten."""

    #: Asterisk offers its channel to several applications: it belongs to none of them yet.
    UNCLAIMED = auto()
    #: Asterisk has given us its channel, whose StasisStart comes next.
    CLAIMED = auto()
    LIVE = auto()
    #: Late events still belong to it.
    ENDED = auto()
    #: … and its ProxyDialogEnded was published.
    REPORTED = auto()
    #: Nothing belongs to it any more.
    FORGOTTEN = auto()


class DeliveryTrigger(Enum):
    """Causes of a transition of delivery."""

    #: Its first event is held.
    HELD = auto()
    #: It was found on Asterisk, begun by another process.
    ADOPTED = auto()
    #: An instance has accepted its AppStart.
    ACCEPTED = auto()
    #: Its first event has reached a listener.
    DELIVERED = auto()
    #: No application listens to an adopted one.
    UNHEARD = auto()
    #: No application serves it: the no-listener policy applies.
    GIVEN_UP = auto()
    #: Its client is there after all, and has asked for another channel.
    REVIVED = auto()
    #: Its instance of the application has gone, and another one has accepted it.
    REASSIGNED = auto()


class LifeTrigger(Enum):
    """Causes of a transition of life."""

    #: Asterisk has given us the channel that it offered.
    CLAIMED = auto()
    #: That channel has entered Stasis.
    ENTERED = auto()
    #: Its last channel has gone.
    ENDED = auto()
    #: Its ProxyDialogEnded was published.
    REPORTED = auto()
    #: Its client has asked for another channel.
    REVIVED = auto()
    #: Its grace period is over.
    FORGOTTEN = auto()


class IllegalTransitionError(Exception):
    """A trigger in a phase that has no transition for it: a bug in ari-proxy."""


_D, _T = DeliveryPhase, DeliveryTrigger
DELIVERY: Final = {
    (_D.PENDING, _T.HELD): _D.OFFERED,
    (_D.PENDING, _T.ADOPTED): _D.ADOPTED,
    (_D.OFFERED, _T.ACCEPTED): _D.ACCEPTED,
    (_D.OFFERED, _T.DELIVERED): _D.OPEN,  # A client's own: it has no AppStart.
    (_D.OFFERED, _T.GIVEN_UP): _D.UNWANTED,
    (_D.ACCEPTED, _T.DELIVERED): _D.OPEN,
    (_D.ACCEPTED, _T.GIVEN_UP): _D.DESERTED,
    (_D.ADOPTED, _T.DELIVERED): _D.OPEN,
    (_D.ADOPTED, _T.UNHEARD): _D.OFFERED,
    (_D.ADOPTED, _T.GIVEN_UP): _D.UNWANTED,
    (_D.OPEN, _T.GIVEN_UP): _D.DESERTED,
    (_D.OPEN, _T.REASSIGNED): _D.ACCEPTED,
    (_D.UNWANTED, _T.REVIVED): _D.PENDING,
    (_D.DESERTED, _T.REVIVED): _D.ACCEPTED,
}
_L, _C = LifePhase, LifeTrigger
LIFE: Final = {
    (_L.UNCLAIMED, _C.CLAIMED): _L.CLAIMED,
    (_L.UNCLAIMED, _C.ENTERED): _L.LIVE,
    (_L.UNCLAIMED, _C.ENDED): _L.ENDED,
    (_L.CLAIMED, _C.ENTERED): _L.LIVE,
    (_L.CLAIMED, _C.ENDED): _L.ENDED,
    (_L.LIVE, _C.ENDED): _L.ENDED,
    (_L.ENDED, _C.REPORTED): _L.REPORTED,
    (_L.ENDED, _C.REVIVED): _L.LIVE,
    (_L.ENDED, _C.FORGOTTEN): _L.FORGOTTEN,
    (_L.REPORTED, _C.REVIVED): _L.LIVE,
    (_L.REPORTED, _C.FORGOTTEN): _L.FORGOTTEN,
}

#: Its channel has not entered Stasis yet.
OFFERED_CALL: Final = frozenset({_L.UNCLAIMED, _L.CLAIMED})
#: It is over; late events still belong to it, unless it is forgotten.
OVER: Final = frozenset({_L.ENDED, _L.REPORTED, _L.FORGOTTEN})
#: A set-up has to succeed before its events pass.
TO_SET_UP: Final = frozenset({_D.OFFERED, _D.ACCEPTED, _D.ADOPTED})
#: No event has passed yet, and some may.
BEFORE_OPEN: Final = TO_SET_UP | {_D.PENDING}
#: An application got its AppStart or its events.
KNOWN: Final = frozenset({_D.ACCEPTED, _D.OPEN, _D.DESERTED})
#: Its events are dropped.
ABANDONED: Final = frozenset({_D.UNWANTED, _D.DESERTED})


def after(table: Mapping[tuple[Phase, Trigger], Phase], phase: Phase, trigger: Trigger) -> Phase:
    """Return the phase that a trigger leads to, by one of the two tables.

    Raises:
        IllegalTransitionError: the table has no such transition.
    """
    try:
        return table[phase, trigger]
    except KeyError:
        raise IllegalTransitionError(f"{trigger} in {phase}") from None
