"""The search for an application that serves a dialog: for one that listens, or a new one."""

import asyncio
import contextlib
from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

import structlog

from ari_proxy.bus.base import Bus
from ari_proxy.ingest.routing.dialog import Dialog
from ari_proxy.ingest.routing.phase import DeliveryPhase
from ari_proxy.protocol.ids import ServerId
from ari_proxy.telemetry.traces import failed

from .announcement import Announcement, DialogOverError
from .dialplan_status import dialplan_status
from .gate import SetupGate
from .instruments import DialogInstruments
from .labels import ChannelLabels
from .strategies import SetupStrategy

_log = structlog.get_logger()

#: Seconds for the application of a dialog that was taken over to show that it listens; longer than
#: a client needs to come back to its bus.
RESUME_SECONDS: Final = 5.0


@dataclass(frozen=True, slots=True, kw_only=True)
class SetupTimes:
    """Timeouts of set-ups."""

    #: For an application to come; None for any time.
    deadline_seconds: float | None
    #: … for a call that is over, if there is no deadline.
    patience_seconds: float
    #: For the application of an adopted dialog to show that it listens.
    resume_seconds: float = RESUME_SECONDS


class ApplicationSearch:
    """Finds applications for the dialogs of one server."""

    def __init__(  # noqa: PLR0913  all that an announcement meets
        self,
        server: ServerId,
        bus: Bus,
        gate: SetupGate,
        *,
        strategy: SetupStrategy,
        labels: ChannelLabels,
        instruments: DialogInstruments,
        times: SetupTimes,
        asterisk_version: Callable[[], str] = lambda: "",
    ) -> None:
        """Initialise for an active ingest.

        Args:
            server: whose dialogs they are.
            bus: where applications are.
            gate: checked before each attempt.
            strategy: the one for the bus.
            labels: write the dialog's id onto its channels.
            instruments: metrics and traces.
            times: how long to wait.
            asterisk_version: returns the server's, or '' while it is not known.
        """
        self._server = server
        self._bus = bus
        self._gate = gate
        self._strategy = strategy
        self._labels = labels
        self._instruments = instruments
        self._times = times
        self._asterisk_version = asterisk_version

    def announcement(self, dialog: Dialog) -> Announcement:
        """Return the announcement of a dialog, which `find` makes."""
        return Announcement(
            self._server,
            self._bus,
            dialog,
            self._gate,
            patience_seconds=self._times.patience_seconds,
            asterisk_version=self._asterisk_version(),
        )

    def failure(self, announcement: Announcement) -> str:
        """Return why there is no application, for the dialplan."""
        return dialplan_status(self._bus.problem, is_refused=announcement.is_refused)

    async def find(self, announcement: Announcement) -> bool:
        """Return once an application serves the dialog; False if none does in time."""
        dialog = announcement.dialog
        if dialog.delivery is DeliveryPhase.ADOPTED:
            if await self._has_listener(announcement):
                return True
            dialog.announce_again()
        elif dialog.delivery is DeliveryPhase.OFFERED:
            self._note_start(dialog)
        return await self._is_accepted(announcement)

    async def is_taken(self, announcement: Announcement, until: float) -> bool:
        """Announce a call that Asterisk offers; return whether an application takes it in time.

        Args:
            announcement: of its dialog.
            until: the loop's time at which the offer is over.
        """
        self._note_start(announcement.dialog)
        with self._instruments.span(announcement) as span:
            try:
                async with asyncio.timeout_at(until):
                    await self._strategy.announce(announcement, until)
                    if not self.delivers_first:  # Its queue alone takes no call.
                        await announcement.wait_heard()
            except (TimeoutError, DialogOverError):
                failed(span, "no_listener")
                return False
        return True

    @property
    def delivers_first(self) -> bool:
        """True if an application that is found has the first held event."""
        return self._strategy.delivers_first

    def _note_start(self, dialog: Dialog) -> None:
        _log.info("dialog.started", dialog_id=dialog.dialog_id, application=dialog.application)
        self._instruments.count_started(dialog)

    async def _is_accepted(self, announcement: Announcement) -> bool:
        """Announce a dialog; return whether an application has accepted it in time."""
        dialog = announcement.dialog
        with self._instruments.span(announcement) as span:
            try:
                async with asyncio.timeout(self._times.deadline_seconds) as life:
                    await self._announce(announcement, life.when())
            except (TimeoutError, DialogOverError):
                failed(span, "no_listener")
                return False
        self._instruments.count_result(dialog, "accepted")
        return True

    async def _announce(self, announcement: Announcement, until: float | None) -> None:
        dialog = announcement.dialog
        for name in tuple(dialog.channels):
            await self._labels.label(dialog, name)
        await self._strategy.announce(announcement, until)

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
