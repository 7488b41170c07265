"""The phases of a dialog, and what leads from one to the next. Sans-I/O.

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

    LIVE ──ENDED──▶ ENDED ──TOLD──▶ TOLD; REVIVED leads back from both, FORGOTTEN to the end.
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
    #: Events are held: found on Asterisk, and nobody knows yet whether an application serves it.
    ADOPTED = auto()
    #: Events pass.
    OPEN = auto()
    #: Events are dropped: no application has accepted the AppStart.
    UNWANTED = auto()
    #: Events are dropped: its application has gone.
    DESERTED = auto()


class LifePhase(Enum):
    """Whether a dialog has channels, or may get some."""

    LIVE = auto()
    #: Late events still belong to it.
    ENDED = auto()
    #: … and its application was sent a ProxyDialogEnded.
    TOLD = auto()
    #: Nothing belongs to it any more.
    FORGOTTEN = auto()


class DeliveryTrigger(Enum):
    """What happens to a dialog's delivery."""

    #: Its first event waits.
    HELD = auto()
    #: It was found on Asterisk, begun by another process.
    ADOPTED = auto()
    #: An instance has accepted its AppStart.
    ACCEPTED = auto()
    #: Its first event has reached a listener.
    DELIVERED = auto()
    #: Nobody came for the events of an adopted one.
    UNHEARD = auto()
    #: Nobody serves it: the no-listener policy applies.
    GIVEN_UP = auto()
    #: Its client is there after all: it has asked for another channel.
    REVIVED = auto()


class LifeTrigger(Enum):
    """What happens to a dialog's life."""

    #: Its last channel has gone.
    ENDED = auto()
    #: Its application was sent its end.
    TOLD = auto()
    #: Its client has asked for another channel.
    REVIVED = auto()
    #: Its grace period is over.
    FORGOTTEN = auto()


class IllegalTransitionError(Exception):
    """A trigger that has no place in a phase: a fault of our own."""


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
    (_D.UNWANTED, _T.REVIVED): _D.PENDING,
    (_D.DESERTED, _T.REVIVED): _D.ACCEPTED,
}
LIFE: Final = {
    (LifePhase.LIVE, LifeTrigger.ENDED): LifePhase.ENDED,
    (LifePhase.ENDED, LifeTrigger.TOLD): LifePhase.TOLD,
    (LifePhase.ENDED, LifeTrigger.REVIVED): LifePhase.LIVE,
    (LifePhase.ENDED, LifeTrigger.FORGOTTEN): LifePhase.FORGOTTEN,
    (LifePhase.TOLD, LifeTrigger.REVIVED): LifePhase.LIVE,
    (LifePhase.TOLD, LifeTrigger.FORGOTTEN): LifePhase.FORGOTTEN,
}

#: Somebody has to set it up before its events pass.
TO_SET_UP: Final = frozenset({_D.OFFERED, _D.ACCEPTED, _D.ADOPTED})
#: No event has passed yet, and some may.
BEFORE_OPEN: Final = TO_SET_UP | {_D.PENDING}
#: Nobody gets its events any more.
ABANDONED: Final = frozenset({_D.UNWANTED, _D.DESERTED})


def after(table: Mapping[tuple[Phase, Trigger], Phase], phase: Phase, trigger: Trigger) -> Phase:
    """Return the phase to which a trigger leads, by one of the tables.

    Raises:
        IllegalTransitionError: it leads nowhere.
    """
    try:
        return table[phase, trigger]
    except KeyError:
        raise IllegalTransitionError(f"{trigger} in {phase}") from None
