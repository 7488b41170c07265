"""Set-up of a dialog: announce it, and deliver its first events once an application listens.

`DialogSetup.begin` is the only place where a set-up starts; whoever publishes an event of a dialog
that is not open calls it.

Nothing is sent blindly: the bus says whether anybody listens. AppStart goes out until an instance
accepts it, and `strategies.py` does what the bus needs for the first events.

Before anything goes out the channel gets the dialog's id as its variable: a successor of this
process finds the dialog there, and does not announce it again.
"""

import asyncio
import contextlib
import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from functools import partial
from typing import Final, NamedTuple

import structlog

from ari_proxy.bus.base import Bus
from ari_proxy.ingest.publishing.background import BackgroundWork
from ari_proxy.ingest.publishing.dialog_stream import DialogStream
from ari_proxy.ingest.routing import phase
from ari_proxy.ingest.routing.dialog import Dialog
from ari_proxy.ingest.routing.phase import DeliveryPhase
from ari_proxy.protocol.ids import ServerId
from ari_proxy.telemetry.traces import failed

from .announcement import Announcement, DialogOverError
from .dialplan_status import NO_APPLICATION, dialplan_status
from .instruments import SetupInstruments
from .labels import ChannelLabels
from .no_listener import NoListener
from .strategies import SetupStrategy

_log = structlog.get_logger()

#: Seconds for the application of a dialog that was taken over to show that it listens; longer than
#: a client needs to come back to its bus.
RESUME_SECONDS: Final = 5.0
#: Seconds for the outcome of a first event that is on its way at a hand-over; far longer than a
#: round trip. All calls wait meanwhile.
PROBE_SECONDS: Final = 1.0


class SetUpPausedError(Exception):
    """Another ingest continues with the dialog."""


@dataclass(frozen=True, slots=True, kw_only=True)
class SetupTimes:
    """How long set-ups wait for applications."""

    #: For an application to come; None for any time.
    deadline_seconds: float | None
    #: … for a call that is over, if there is no deadline.
    patience_seconds: float
    #: For the application of an adopted dialog to show that it listens.
    resume_seconds: float = RESUME_SECONDS


class _SetUp(NamedTuple):
    """One that is under way."""

    announcement: Announcement
    task: asyncio.Task[None]


class DialogSetup:
    """Sets up the dialogs of one server."""

    def __init__(  # noqa: PLR0913  all that a new dialog meets
        self,
        server: ServerId,
        bus: Bus,
        *,
        stream: DialogStream,
        strategy: SetupStrategy,
        labels: ChannelLabels,
        no_listener: NoListener,
        background: BackgroundWork,
        instruments: SetupInstruments,
        times: SetupTimes,
        is_permitted: Callable[[], bool] = lambda: True,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        """Initialise for an active ingest.

        Args:
            server: whose dialogs they are.
            bus: where applications are.
            stream: lets a dialog's events pass.
            strategy: the one for the bus.
            labels: write the dialog's id onto its channels.
            no_listener: applied to calls that no application serves.
            background: where set-ups run.
            instruments: metrics, traces and the tap.
            times: how long to wait.
            is_permitted: returns whether this ingest may publish now.
            clock: monotonic seconds.
        """
        self._server = server
        self._bus = bus
        self._stream = stream
        self._strategy = strategy
        self._labels = labels
        self._no_listener = no_listener
        self._background = background
        self._instruments = instruments
        self._times = times
        self._is_permitted = is_permitted
        self._clock = clock
        self._running: dict[Dialog, _SetUp] = {}
        #: Dialogs that are about to be resumed.
        self._stopped: set[str] = set()
        #: Where the no-listener policy is being applied.
        self._policies: dict[Dialog, asyncio.Task[None]] = {}
        self._is_paused = False

    def pause(self) -> None:
        """End all set-ups after the attempt under way, so that another ingest can continue them."""
        self._is_paused = True

    def begin(self, dialog: Dialog) -> None:
        """Begin the set-up of a dialog whose events are held, unless it is under way."""
        if not dialog.held or dialog.delivery not in phase.TO_SET_UP:
            return
        if dialog in self._running or dialog.dialog_id in self._stopped:
            return
        announcement = Announcement(
            self._server,
            self._bus,
            dialog,
            partial(self._check, dialog),
            patience_seconds=self._times.patience_seconds,
        )
        task = self._background.begin(self._run(announcement))
        self._running[dialog] = _SetUp(announcement, task)

    async def stop(self, dialog_ids: Iterable[str]) -> None:
        """Stop the set-ups of dialogs that another ingest hands over, until `resume`.

        The application may get a first event that is on its way: its outcome is awaited for
        `PROBE_SECONDS`, so that it is not published again.

        Args:
            dialog_ids: also of dialogs that are not known here yet.
        """
        self._stopped.update(dialog_ids)
        probing = []
        for dialog, (announcement, task) in tuple(self._running.items()):
            if dialog.dialog_id not in self._stopped:
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
        self._stopped.discard(dialog.dialog_id)
        policy = self._policies.get(dialog)
        if policy is not None and not dialog.is_abandoned:
            policy.cancel()
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
        self._apply_policy(dialog, NO_APPLICATION)

    def _apply_policy(self, dialog: Dialog, status: str) -> None:
        policy = self._background.begin(self._no_listener.apply(dialog, status=status))
        self._policies[dialog] = policy
        policy.add_done_callback(lambda ended: self._forget_policy(dialog, ended))

    def _forget_policy(self, dialog: Dialog, ended: asyncio.Task[None]) -> None:
        if self._policies.get(dialog) is ended:
            del self._policies[dialog]

    def _check(self, dialog: Dialog) -> None:
        if self._is_paused or dialog.dialog_id in self._stopped or not self._is_permitted():
            raise SetUpPausedError

    async def _run(self, announcement: Announcement) -> None:
        dialog = announcement.dialog
        began_at = self._clock()
        try:
            if await self._is_served(announcement):
                self._open(announcement, began_at)
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
        if dialog.dialog_id in self._stopped:  # The others follow behind the former ingest's.
            self._stream.drop_first(dialog)
            return
        self._instruments.copy_app_start(announcement)
        self._stream.release(dialog, is_first_delivered=self._strategy.delivers_first)
        self._instruments.record_duration(self._clock() - began_at)
        self._strategy.on_open(dialog)

    async def _is_served(self, announcement: Announcement) -> bool:
        """Return once an application serves the dialog, or with False once it is abandoned."""
        dialog = announcement.dialog
        if dialog.delivery is DeliveryPhase.ADOPTED:
            if await self._has_listener(announcement):
                return True
            dialog.announce_again()
        elif dialog.delivery is DeliveryPhase.OFFERED:
            _log.info("dialog.started", dialog_id=dialog.dialog_id, application=dialog.application)
            self._instruments.count_started(dialog)
        return await self._is_accepted(announcement)

    async def _is_accepted(self, announcement: Announcement) -> bool:
        """Announce a dialog; abandon it and return False if no application accepts it in time."""
        dialog = announcement.dialog
        with self._instruments.span(announcement) as span:
            try:
                async with asyncio.timeout(self._times.deadline_seconds) as life:
                    for name in tuple(dialog.channels):
                        await self._labels.label(dialog, name)
                    await self._strategy.announce(announcement, life.when())
            except (TimeoutError, DialogOverError):
                failed(span, "no_listener")
                self._abandon(announcement)
                return False
        self._instruments.count_result(dialog, "accepted")
        return True

    def _abandon(self, announcement: Announcement) -> None:
        dialog = announcement.dialog
        if dialog.is_call:
            self._instruments.count_result(dialog, "no_listener")
        self._stream.abandon(dialog)
        status = dialplan_status(self._bus.problem, is_refused=announcement.is_refused)
        self._apply_policy(dialog, status)

    async def _has_listener(self, announcement: Announcement) -> bool:
        """Return whether the application of an adopted dialog listens.

        The first held event is the probe. An instance that accepted the dialog's AppStart listens,
        or comes back to the bus within a few seconds.
        """
        while True:
            await self._bus.wait_connected()
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(self._times.resume_seconds):
                    await self._strategy.wait_listener(announcement)
                    return True
            if self._bus.is_connected:
                return False
