"""The phases of an active ingest, and what leads from one to the next. Sans-I/O.

An active ingest is in two phases at a time, since they do not depend on each other: a successor may
ask for the dialogs whether this ingest is to stop or not. `ActivePhase` says who has the dialogs,
`DeparturePhase` whether this ingest is to stop.

    CONNECTING ──CONNECTED──▶ TAKING_OVER ──LOADED──▶ ACTIVE ──ASKED──▶ HANDING_OVER
                                                        ▲                │  │
                                                        └────REFUSED─────┘  │
                              HANDED_OVER ◀──TAKEN── RELEASED ◀──RELEASED───┘

    STAYING ──LEAVE──▶ LEAVING ──STOP──▶ DRAINING; STOP leads there from STAYING, too, and EVICT
    from STAYING and LEAVING to EVICTED, where it remains.
"""

from enum import Enum, auto
from typing import Final

from ari_proxy.ingest.routing.phase import after


class ActivePhase(Enum):
    """Owner of the dialogs during an active period."""

    #: Nobody has asked for them yet.
    CONNECTING = auto()
    #: The ingest before this one, which is asked for them.
    TAKING_OVER = auto()
    #: This ingest.
    ACTIVE = auto()
    #: This ingest; a successor has asked, and Asterisk's ApplicationReplaced is awaited.
    HANDING_OVER = auto()
    #: The successor, once it has fetched them: the websocket is given up; the frames held, and the
    #: set-ups under way, are finished.
    RELEASED = auto()
    #: The successor, or nobody if it goes on without them.
    HANDED_OVER = auto()


class ActiveTrigger(Enum):
    """Events that affect the dialogs as a whole."""

    #: The events websocket is open for the first time; or Asterisk opens it, and keeps its events
    #: until then.
    CONNECTED = auto()
    #: The dialogs are here, or there was no ingest that had any.
    LOADED = auto()
    #: A successor has asked for them.
    ASKED = auto()
    #: Asterisk has not given the applications to the successor.
    REFUSED = auto()
    #: Asterisk has, or this ingest has no connection.
    RELEASED = auto()
    #: The successor has the last page, or will not ask for it.
    TAKEN = auto()


class DeparturePhase(Enum):
    """Phases of the departure of an active ingest."""

    STAYING = auto()
    #: To stop; a standby may take over before that.
    LEAVING = auto()
    #: It finishes what it has begun.
    DRAINING = auto()
    #: Another ingest may be active already, without its dialogs, so it finishes nothing.
    EVICTED = auto()


class DepartureTrigger(Enum):
    """Why an active ingest is to stop."""

    #: The process is to end, and a standby may take over.
    LEAVE = auto()
    #: No standby has taken over, or there is none.
    STOP = auto()
    #: The lease is lost, or the bus while a standby would have asked for the dialogs.
    EVICT = auto()


_A, _T = ActivePhase, ActiveTrigger
ACTIVE: Final = {
    (_A.CONNECTING, _T.CONNECTED): _A.TAKING_OVER,
    (_A.TAKING_OVER, _T.LOADED): _A.ACTIVE,
    (_A.ACTIVE, _T.ASKED): _A.HANDING_OVER,
    (_A.HANDING_OVER, _T.REFUSED): _A.ACTIVE,
    (_A.HANDING_OVER, _T.RELEASED): _A.RELEASED,
    (_A.RELEASED, _T.TAKEN): _A.HANDED_OVER,
}
_D, _U = DeparturePhase, DepartureTrigger
DEPARTURE: Final = {
    (_D.STAYING, _U.LEAVE): _D.LEAVING,
    (_D.STAYING, _U.STOP): _D.DRAINING,
    (_D.STAYING, _U.EVICT): _D.EVICTED,
    (_D.LEAVING, _U.STOP): _D.DRAINING,
    (_D.LEAVING, _U.EVICT): _D.EVICTED,
    (_D.EVICTED, _U.STOP): _D.EVICTED,
}

_BEFORE_DIALOGS: Final = frozenset({_A.CONNECTING, _A.TAKING_OVER})
_BEFORE_SUCCESSOR: Final = _BEFORE_DIALOGS | {_A.ACTIVE}


class ActiveState:
    """The two phases of one active ingest."""

    def __init__(self) -> None:
        self._phase = ActivePhase.CONNECTING
        self._departure = DeparturePhase.STAYING

    @property
    def phase(self) -> ActivePhase:
        """Owner of the dialogs during an active period."""
        return self._phase

    @property
    def departure(self) -> DeparturePhase:
        """The phase of its departure."""
        return self._departure

    def advance(self, trigger: ActiveTrigger) -> None:
        """Follow what happens to the dialogs.

        Raises:
            IllegalTransitionError: the trigger has no place in this phase.
        """
        self._phase = after(ACTIVE, self._phase, trigger)

    def depart(self, trigger: DepartureTrigger) -> None:
        """Follow what the ingest is told.

        Raises:
            IllegalTransitionError: the trigger has no place in this phase.
        """
        self._departure = after(DEPARTURE, self._departure, trigger)

    @property
    def has_dialogs(self) -> bool:
        """True once the dialogs of the ingest before this one are here, if there was one."""
        return self._phase not in _BEFORE_DIALOGS

    @property
    def may_reconnect(self) -> bool:
        """True unless a new connection would take the applications from a successor."""
        is_staying = self._departure is DeparturePhase.STAYING
        return is_staying and self._phase in _BEFORE_SUCCESSOR
