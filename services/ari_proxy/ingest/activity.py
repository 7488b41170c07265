"""The state of one ingest, for metrics, checks and the admin API."""

from collections.abc import Collection
from typing import Literal

from ari_proxy.ingest.routing.dialog import Dialog
from ari_proxy.protocol.messages import ObjectKind

from .active import ActiveIngest

State = Literal["standby", "active", "handed_over"]


class Activity:
    """The state of one ingest, which the service reports."""

    def __init__(self, *, is_shared: bool) -> None:
        """Initialise the state of an ingest that has not started.

        Args:
            is_shared: whether there may be other ingests of the server.
        """
        self.is_shared = is_shared
        self._state: State = "standby" if is_shared else "active"
        self._active: ActiveIngest | None = None

    def begin(self, active: ActiveIngest) -> None:
        """Note that an active period begins."""
        self._state, self._active = "active", active

    def pause(self, *, is_handed_over: bool) -> None:
        """Note that the ingest is no longer active; its last work is being finished."""
        self._state = "handed_over" if is_handed_over else "standby"

    def end(self) -> None:
        """Note that the active period is over."""
        self._active = None

    @property
    def state(self) -> State:
        """The state of the ingest: active, or why not."""
        return self._state

    @property
    def is_active(self) -> bool:
        """True while the events of Asterisk come to this ingest."""
        return self._state == "active"

    @property
    def has_dialogs(self) -> bool:
        """True during an active period, and while its last work is being finished."""
        return self._active is not None

    @property
    def is_up_to_date(self) -> bool:
        """True if the dialogs are all that Asterisk has: none, unless the ingest is active."""
        return self._active.is_up_to_date if self._active is not None else not self.is_active

    @property
    def connection(self) -> object:
        """The newest events websocket, as something to compare; None without one."""
        return self._active.connection if self._active is not None else None

    @property
    def is_connected(self) -> bool:
        """True while the events websocket is open."""
        return self._active is not None and self._active.is_connected

    @property
    def replaced(self) -> Collection[str]:
        """Applications that another client has taken."""
        return self._active.replaced if self._active is not None else ()

    @property
    def dialogs(self) -> tuple[Dialog, ...]:
        """All dialogs, those in their grace period included."""
        return self._active.dialogs if self._active is not None else ()

    @property
    def orphans(self) -> int:
        """The number of dialogs of former ingests that are watched."""
        return self._active.orphans if self._active is not None else 0

    def objects(self, kind: ObjectKind) -> int:
        """Return how many objects of a kind belong to dialogs."""
        return self._active.objects(kind) if self._active is not None else 0

    def serves(self, application: str) -> bool:
        """Return whether the events of an application come to this ingest."""
        return self.is_connected and application not in self.replaced
