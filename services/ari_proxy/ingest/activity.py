"""Whether an ingest is active, and what it is active with: for those who look at it."""

from typing import Final, Literal

from ari_proxy.ingest.routing.dialog import Dialog

from .active import ActiveIngest

State = Literal["standby", "active", "handed_over"]
_NOBODY: Final[frozenset[str]] = frozenset()


class Activity:
    """The state of one ingest; the service changes it."""

    def __init__(self, *, is_shared: bool) -> None:
        """Make one.

        Args:
            is_shared: whether there may be others to stand by for.
        """
        self.is_shared = is_shared
        self.state: State = "standby" if is_shared else "active"
        self.term: ActiveIngest | None = None

    def begin(self, term: ActiveIngest) -> None:
        """Become active."""
        self.state, self.term = "active", term

    def pause(self, *, is_handed_over: bool) -> None:
        """Be active no more; the term finishes."""
        self.state = "handed_over" if is_handed_over else "standby"

    def end(self) -> None:
        """Take that the term is over."""
        self.term = None

    @property
    def is_active(self) -> bool:
        """True while this ingest takes the events."""
        return self.state == "active"

    @property
    def is_connected(self) -> bool:
        """True while the events websocket is open."""
        return self.term is not None and self.term.reader.is_connected

    @property
    def replaced(self) -> set[str] | frozenset[str]:
        """Applications that another client has taken."""
        return self.term.reader.replaced if self.term is not None else _NOBODY

    @property
    def dialogs(self) -> tuple[Dialog, ...]:
        """All dialogs, those in their grace period included."""
        return tuple(self.term.parts.dialogs) if self.term is not None else ()

    def serves(self, application: str) -> bool:
        """Return whether the events of an application come here."""
        return self.is_connected and application not in self.replaced
