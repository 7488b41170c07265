"""An ingest's dialogs as the admin API, the console and `tail` show them."""

from typing import Any, NamedTuple

from ari_proxy.ingest.routing.dialog import Dialog
from ari_proxy.ingest.routing.phase import DeliveryPhase

from .activity import Activity


class Newest(NamedTuple):
    """Some dialogs of many."""

    dialogs: list[dict[str, Any]]
    found: int
    total: int


class AdminView:
    """Looks at the dialogs of one ingest."""

    def __init__(self, activity: Activity) -> None:
        self._activity = activity

    def dialogs(self) -> list[dict[str, Any]]:
        """Return the dialogs for the admin API."""
        return [_shown(dialog) for dialog in self._activity.dialogs]

    def count_open(self) -> int | None:
        """Return how many dialogs are not over; none of one that stands by.

        None at its turn until they have been brought up to date: Asterisk, or the ingest before
        this one, may have some that it knows nothing of.
        """
        term = self._activity.term
        is_known = term.reader.is_up_to_date if term else not self._activity.is_active
        if not is_known:
            return None
        return sum(not dialog.is_ended for dialog in self._activity.dialogs)

    def newest(self, find: str, limit: int) -> Newest:
        """Return the newest dialogs that have a text in them, for the console.

        Nothing is made of those that are not shown: there may be thousands, and events wait.
        """
        dialogs = self._activity.dialogs
        found = [dialog for dialog in dialogs if _has(dialog, find)] if find else dialogs
        shown = [_shown(dialog) for dialog in found[: -limit - 1 : -1]]
        return Newest(shown, found=len(found), total=len(dialogs))

    def watched(self) -> dict[str, str] | None:
        """Return the open dialogs with their applications, or None while it is not active."""
        if self._activity.term is None:
            return None
        dialogs = self._activity.dialogs
        return {d.dialog_id: d.application for d in dialogs if not d.is_ended}


def _has(dialog: Dialog, find: str) -> bool:
    own = dialog.dialog_id, dialog.application, *dialog.channels
    return any(find in text for text in own)


def _shown(dialog: Dialog) -> dict[str, Any]:
    return {
        "dialog_id": dialog.dialog_id,
        "application": dialog.application,
        "channels": sorted(dialog.channels),
        "events": dialog.sequence,
        "state": _state(dialog),
    }


def _state(dialog: Dialog) -> str:
    if dialog.is_ended:
        return "ended"
    if dialog.is_abandoned:
        return "abandoned"
    return "open" if dialog.delivery is DeliveryPhase.OPEN else "waiting"
