"""Set-up of a dialog: announce it, and deliver its first events once an application listens.

`DialogSetup.begin` is the only place where a set-up starts; whoever publishes an event of a dialog
that is not open calls it.

Nothing is sent blindly: the bus says whether anybody listens. AppStart goes out until an instance
accepts it, and `strategies.py` does what the bus needs for the first events.

Before anything goes out the channel gets the dialog's id as its variable: a successor of this
process finds the dialog there, and does not announce it again.
"""

import asyncio
import time
from collections.abc import Iterable
from typing import Final, NamedTuple

import structlog

from ari_proxy.ingest.publishing.background import BackgroundWork
from ari_proxy.ingest.publishing.dialog_stream import DialogStream
from ari_proxy.ingest.routing import phase
from ari_proxy.ingest.routing.dialog import Dialog
from ari_proxy.ingest.routing.phase import DeliveryPhase

from .announcement import Announcement
from .broadcasts import BroadcastOffers
from .dialplan_status import NO_APPLICATION
from .gate import SetupGate, SetUpPausedError
from .instruments import DialogInstruments
from .labels import ChannelLabels
from .no_listener import NoListenerTasks
from .search import ApplicationSearch
from .strategies import SetupStrategy

_log = structlog.get_logger()

#: Seconds for the outcome of a first event that is on its way at a hand-over; far longer than a
#: round trip. All calls wait meanwhile.
PROBE_SECONDS: Final = 1.0


class _SetUp(NamedTuple):
    """One that is under way."""

    announcement: Announcement
    task: asyncio.Task[None]


class DialogSetup:
    """Sets up the dialogs of one server."""

    def __init__(  # noqa: PLR0913  all that a new dialog meets
        self,
        search: ApplicationSearch,
        gate: SetupGate,
        *,
        stream: DialogStream,
        strategy: SetupStrategy,
        labels: ChannelLabels,
        broadcasts: BroadcastOffers,
        no_listener: NoListenerTasks,
        background: BackgroundWork,
        instruments: DialogInstruments,
    ) -> None:
        """Initialise for an active ingest.

        Args:
            search: finds applications.
            gate: closed when another ingest continues with set-ups.
            stream: lets a dialog's events pass.
            strategy: the one for the bus.
            labels: write the dialog's id onto its channels.
            broadcasts: offers calls that may become another application's.
            no_listener: applied to calls that no application serves.
            background: where set-ups run.
            instruments: metrics, traces and the tap.
        """
        self._search = search
        self._gate = gate
        self._stream = stream
        self._strategy = strategy
        self._labels = labels
        self._broadcasts = broadcasts
        self._no_listener = no_listener
        self._background = background
        self._instruments = instruments
        self._running: dict[Dialog, _SetUp] = {}

    def pause(self) -> None:
        """End all set-ups after the attempt under way, so that another ingest can continue them."""
        self._gate.pause()

    def begin(self, dialog: Dialog) -> None:
        """Begin the set-up of a dialog whose events are held, unless it is under way."""
        if not dialog.held or dialog.delivery not in phase.TO_SET_UP:
            return
        if dialog in self._running or self._gate.is_stopped(dialog):
            return
        announcement = self._search.announcement(dialog)
        if self._broadcasts.is_offering(dialog):
            if self._broadcasts.begins(dialog):
                self._background.begin(self._offer(announcement))
            return
        task = self._background.begin(self._run(announcement))
        self._running[dialog] = _SetUp(announcement, task)

    async def _offer(self, announcement: Announcement) -> None:
        """Offer a call, then set its dialog up if Asterisk has given us its channel."""
        await self._broadcasts.offer(announcement)
        self.begin(announcement.dialog)

    async def stop(self, dialog_ids: Iterable[str]) -> None:
        """Stop the set-ups of dialogs that another ingest hands over, until `resume`.

        The application may get a first event that is on its way: its outcome is awaited for
        `PROBE_SECONDS`, so that it is not published again.

        Args:
            dialog_ids: also of dialogs that are not known here yet.
        """
        self._gate.stop(dialog_ids)
        probing = []
        for dialog, (announcement, task) in tuple(self._running.items()):
            if not self._gate.is_stopped(dialog):
                continue
            if announcement.is_probing:
                probing.append(task)
            else:
                self._cancel(dialog)
        if probing:
            await asyncio.wait(probing, timeout=PROBE_SECONDS)

    def _cancel(self, dialog: Dialog) -> None:
        set_up = self._running.pop(dialog, None)
        if set_up is not None:
            set_up.task.cancel()

    def resume(self, dialog: Dialog, held: Iterable[bytes]) -> None:
        """Continue with a dialog that another ingest has handed over, in the phase it had there.

        A set-up that began here meanwhile is cancelled, unless `stop` has ended it: it knew neither
        the dialog's phase nor its events. So is the no-listener policy, if the set-up has given up
        a dialog that is served.

        Args:
            dialog: in the state that was handed over.
            held: the events that were held here before that.
        """
        self._cancel(dialog)
        self._gate.resume(dialog)
        if not dialog.is_abandoned:
            self._no_listener.cancel(dialog)
        self._stream.renumber(dialog, held)
        if dialog.delivery is DeliveryPhase.OPEN:
            self._strategy.on_open(dialog)
        else:
            self.begin(dialog)

    def label(self, dialog: Dialog, channel: str) -> None:
        """Label a channel that has entered Stasis, unless the set-up that begins now does it."""
        if dialog.delivery in phase.BEFORE_OPEN and dialog not in self._running:
            return
        self._background.begin(self._labels.label(dialog, channel))

    def give_up(self, dialog: Dialog) -> None:
        """Abandon a dialog whose application has gone, and apply the no-listener policy."""
        if dialog.is_abandoned:
            return
        self._instruments.count_result(dialog, "no_listener")
        self._stream.abandon(dialog)
        self._no_listener.begin(dialog, NO_APPLICATION)

    async def _run(self, announcement: Announcement) -> None:
        dialog = announcement.dialog
        began_at = time.monotonic()
        try:
            if await self._search.find(announcement):
                self._open(announcement, began_at)
            else:
                self._abandon(announcement)
        except SetUpPausedError:
            pass
        except Exception:  # noqa: BLE001  a bug that one call meets must not end all others
            _log.exception("dialog.set_up_failed", dialog_id=dialog.dialog_id)
            self.give_up(dialog)
        finally:
            set_up = self._running.get(dialog)
            if set_up is not None and set_up.task is asyncio.current_task():
                del self._running[dialog]

    def _open(self, announcement: Announcement, began_at: float) -> None:
        dialog = announcement.dialog
        if self._gate.is_stopped(dialog):  # The others follow behind the former ingest's.
            self._stream.drop_first(dialog)
            return
        self._instruments.copy_app_start(announcement)
        self._stream.release(dialog, is_first_delivered=self._strategy.delivers_first)
        self._instruments.record_duration(time.monotonic() - began_at)
        self._strategy.on_open(dialog)

    def _abandon(self, announcement: Announcement) -> None:
        dialog = announcement.dialog
        if dialog.is_call:
            self._instruments.count_result(dialog, "no_listener")
        self._stream.abandon(dialog)
        self._no_listener.begin(dialog, self._search.failure(announcement))
