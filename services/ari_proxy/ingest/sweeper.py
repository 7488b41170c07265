"""Reports and forgets dialogs that have ended, and retries labels of channels."""

import asyncio
import contextlib
import math
import time
from collections.abc import Sequence
from typing import Final

import structlog

from ari_proxy.ingest.permit import Permit
from ari_proxy.ingest.publishing.background import BackgroundWork
from ari_proxy.ingest.publishing.dialog_ends import DialogEnds
from ari_proxy.ingest.queues.orphan_watch import OrphanWatch
from ari_proxy.ingest.queues.retention import QueueRetention
from ari_proxy.ingest.routing.dialog import Dialog
from ari_proxy.ingest.routing.dialog_table import DialogTable
from ari_proxy.ingest.routing.phase import DeliveryPhase, LifePhase
from ari_proxy.ingest.routing.proxy_events import EndReason
from ari_proxy.ingest.setup.instruments import DialogInstruments
from ari_proxy.ingest.setup.labels import ChannelLabels
from ari_proxy.ingest.setup.setup import DialogSetup

_log = structlog.get_logger()

#: Seconds between two sweeps.
SWEEP_SECONDS: Final = 1.0


class Sweeper:
    """Sweeps the dialogs of one server."""

    def __init__(  # noqa: PLR0913  all that an end concerns
        self,
        dialogs: DialogTable,
        ends: DialogEnds,
        setup: DialogSetup,
        *,
        labels: ChannelLabels,
        retention: QueueRetention | None,
        background: BackgroundWork,
        instruments: DialogInstruments,
        permit: Permit,
    ) -> None:
        self._dialogs = dialogs
        self._ends = ends
        self._setup = setup
        self._labels = labels
        self._retention = retention
        self._background = background
        self._instruments = instruments
        self._permit = permit
        self._is_paused = False

    async def run(self) -> None:
        """Report and forget dialogs that have ended, and retry labels, until paused."""
        while not self._is_paused:
            for labelling in self._labels.retries():
                self._background.begin(labelling)
            self._sweep(time.monotonic())
            await asyncio.sleep(SWEEP_SECONDS)

    def pause(self) -> None:
        """Report no further end: another ingest continues with the dialogs."""
        self._is_paused = True

    def finish(self) -> None:
        """Report all ends now that are due later: this ingest will be gone."""
        self._sweep(math.inf)

    def end_all(self, reason: EndReason) -> None:
        """End all dialogs, tell their applications, and apply the no-listener policy.

        No other ingest goes on with them, so that their ends would never be seen.
        """
        if self._permit.is_valid():
            for dialog in self._dialogs:
                if not dialog.is_ended:
                    self._dismiss(dialog, reason)

    def _dismiss(self, dialog: Dialog, reason: EndReason) -> None:
        channels = tuple(dialog.channels)
        self._dialogs.end(dialog, time.monotonic(), reason)
        if dialog.delivery is DeliveryPhase.OPEN:  # The end goes out behind its events.
            self.report_end(dialog, reason, channels)
        if dialog.delivery is not DeliveryPhase.PENDING:
            self._setup.give_up(dialog)
        self.report_end(dialog, reason, channels)

    def report_end(self, dialog: Dialog, reason: EndReason, channels: Sequence[str] = ()) -> None:
        """Publish the end of a dialog to its application, unless that was done.

        Args:
            dialog: one that has ended.
            reason: why.
            channels: those without a ChannelDestroyed or StasisEnd of their own.
        """
        if dialog.life is LifePhase.ENDED:
            self._ends.publish(dialog, reason, channels)
            self._setup.begin(dialog)

    async def report_orphans(self, orphans: OrphanWatch) -> None:
        """Publish the ends of orphaned dialogs, until cancelled."""
        async with contextlib.aclosing(orphans.gone()) as gone:
            async for dialog_id, application in gone:
                self._ends.publish_orphaned(dialog_id, application)

    def _sweep(self, now: float) -> None:
        for dialog in self._dialogs.ended(now):
            self._end(dialog)
        self._dialogs.sweep(now)

    def _end(self, dialog: Dialog) -> None:
        reason = "no_listener" if dialog.is_abandoned else dialog.end_reason
        if self._permit.is_valid():
            self.report_end(dialog, reason)
        _log.info("dialog.ended", dialog_id=dialog.dialog_id, events=dialog.sequence, reason=reason)
        self._instruments.record_end(dialog, reason)
        if self._retention is not None:
            self._retention.on_ended(dialog)
