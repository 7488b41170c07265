"""The gate of set-ups: which ones may go on here, and which another ingest continues. Sans-I/O."""

from collections.abc import Iterable

from ari_proxy.ingest.permit import Permit
from ari_proxy.ingest.routing.dialog import Dialog


class SetUpPausedError(Exception):
    """Another ingest continues with the dialog."""


class SetupGate:
    """Open for all dialogs of one server, until their set-ups are paused or stopped."""

    def __init__(self, permit: Permit) -> None:
        """Make an open gate.

        Args:
            permit: to publish.
        """
        self._permit = permit
        #: Dialogs that are about to be resumed.
        self._stopped: set[str] = set()
        self._is_paused = False

    def pause(self) -> None:
        """Close it for all dialogs."""
        self._is_paused = True

    def stop(self, dialog_ids: Iterable[str]) -> None:
        """Close it for dialogs, also for those that are not known here yet."""
        self._stopped.update(dialog_ids)

    def resume(self, dialog: Dialog) -> None:
        """Open it again for a dialog that was stopped."""
        self._stopped.discard(dialog.dialog_id)

    def is_stopped(self, dialog: Dialog) -> bool:
        """Return whether a dialog is about to be resumed."""
        return dialog.dialog_id in self._stopped

    def check(self, dialog: Dialog) -> None:
        """Raise unless the set-up of a dialog may go on.

        Raises:
            SetUpPausedError: another ingest continues with it.
        """
        if self._is_paused or self.is_stopped(dialog) or not self._permit.is_valid():
            raise SetUpPausedError
