"""The dialogs of an ingest for the admin API, the console and `tail`."""

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
    """A read-only view of the dialogs of one ingest."""

    def __init__(self, activity: Activity) -> None:
        self._activity = activity

    def is_active(self) -> bool:
        """Return whether the events of Asterisk come to this ingest."""
        return self._activity.is_active

    def dialogs(self) -> list[dict[str, Any]]:
        """Return the dialogs for the admin API."""
        return [_shown(dialog) for dialog in self._activity.dialogs]

    def count_open(self) -> int | None:
        """Return how many dialogs are open; 0 for a standby.

        None for an active ingest until its dialogs are up to date: Asterisk, or the former ingest,
        may have more.
        """
        if not self._activity.is_up_to_date:
            return None
        return sum(not dialog.is_ended for dialog in self._activity.dialogs)

    def newest(self, find: str, limit: int) -> Newest:
        """Return the newest dialogs that contain a text, for the console.

        Only those are converted: there may be thousands, and events wait meanwhile.
        """
        dialogs = self._activity.dialogs
        found = [dialog for dialog in dialogs if _has(dialog, find)] if find else dialogs
        shown = [_shown(dialog) for dialog in found[: -limit - 1 : -1]]
        return Newest(shown, found=len(found), total=len(dialogs))

    def watched(self) -> dict[str, str] | None:
        """Return the application of each open dialog; None while the ingest is not active."""
        if not self._activity.has_dialogs:
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
