"""Reports to applications the events that were lost in the bus's buffer, or that nobody got.

The sequence numbers have a gap; a ProxyGap has its reason, its time and the number of events. It is
sent once the buffer has room again, or the application may be back, so it may come behind later
events. Whether it is back shows only by the report itself: a lost one is lost like the others.
"""

import asyncio
import time
from typing import Final

import structlog

from ari_proxy.bus.base import Bus
from ari_proxy.ingest.permit import Permit
from ari_proxy.ingest.routing import proxy_events
from ari_proxy.ingest.routing.dialog import Dialog
from ari_proxy.ingest.routing.dialog_table import DialogTable
from ari_proxy.ingest.routing.phase import DeliveryPhase, LifePhase
from ari_proxy.ingest.routing.proxy_events import Gap, GapReason
from ari_proxy.protocol import topics
from ari_proxy.protocol.ids import DialogId

from .dialog_stream import DialogStream
from .event_metrics import EventMetrics
from .loss_ledger import Loss, LossLedger

_log = structlog.get_logger()

#: Seconds between two checks whether the bus has room for reports.
LOOK_SECONDS: Final = 0.1


class LossReporter:
    """Sends the entries of the ledger to the applications."""

    def __init__(  # noqa: PLR0913  what a report meets
        self,
        ledger: LossLedger,
        bus: Bus,
        dialogs: DialogTable,
        stream: DialogStream,
        *,
        metrics: EventMetrics,
        buffer_bytes: int,
        permit: Permit,
    ) -> None:
        """Initialise for an active ingest.

        Args:
            ledger: has the losses.
            bus: may lose reports, too.
            dialogs: of this server.
            stream: publishes the reports.
            metrics: counts the events that nobody got.
            buffer_bytes: of the bus; reports go out while half of it is free.
            permit: to publish.
        """
        self._ledger = ledger
        self._bus = bus
        self._dialogs = dialogs
        self._stream = stream
        self._metrics = metrics
        self._room = buffer_bytes // 2
        self._permit = permit

    async def run(self) -> None:
        """Report losses when the bus has room again, until cancelled."""
        while True:
            await self._ledger.wait_filled()
            await self._bus.wait_connected()
            self.report()
            await asyncio.sleep(LOOK_SECONDS)

    def report(self, *, is_last: bool = False) -> None:
        """Report losses now, as far as the bus has room: reports must not cause more losses.

        Args:
            is_last: whether nothing is reported later, when an application may be back.
        """
        for topic, reason in self._ledger.entries():
            if self._bus.buffered_bytes > self._room or not self._permit.is_valid():
                return
            dialog = self._dialogs.dialogs.get(topics.owner_of(topic))
            if reason != "unheard" or self._is_due(topic, dialog, is_last=is_last):
                self._settle(topic, dialog, reason)

    def _settle(self, topic: str, dialog: Dialog | None, reason: GapReason) -> None:
        if dialog is None or dialog.delivery is DeliveryPhase.OPEN:
            self._report(topic, dialog, reason)
        elif dialog.is_abandoned:  # No application listens; otherwise it may yet.
            self._remove(topic, reason)

    def _is_due(self, topic: str, dialog: Dialog | None, *, is_last: bool) -> bool:
        """Return whether to tell a dialog's application now of events that nobody got."""
        if (dialog is None or dialog.is_ended) and not self._is_kept(topic):
            self._ledger.remove(topic, "unheard")  # It has left before the last events, as many do.
            return False
        is_abandoned = dialog is not None and dialog.is_abandoned
        return is_last or is_abandoned or self._ledger.is_quiet(topic, time.time())

    def _is_kept(self, topic: str) -> bool:
        """Return whether a dialog's queues are kept after its end: one that is away may return."""
        queues, dialog_id = self._bus.queues, DialogId(topics.owner_of(topic))
        return queues is not None and queues.is_recorded(topics.of_dialog(dialog_id))

    def _remove(self, topic: str, reason: GapReason) -> Loss | None:
        """Remove an entry from the ledger; count what nobody got, which nothing else does."""
        loss = self._ledger.remove(topic, reason)
        if reason == "unheard" and loss is not None and loss.events:
            self._metrics.count_dropped(reason, loss.events)
            dialog_id = topics.owner_of(topic)
            _log.warning("dialog.events_unheard", dialog_id=dialog_id, events=loss.events)
        return loss

    def _report(self, topic: str, dialog: Dialog | None, reason: GapReason) -> None:
        loss = self._remove(topic, reason)
        if loss is None:
            return  # Displaced by others.
        now = time.time()
        gap = Gap(reason, loss.since, loss.until, loss.count)
        events = [(proxy_events.GAP, gap.event(loss.application, now))]
        if loss.end and (dialog is None or dialog.life is LifePhase.REPORTED):
            events.append((proxy_events.DIALOG_ENDED, loss.end))
        for number, (event_type, text) in enumerate(events, start=int(now * 1e6)):
            if dialog is not None:
                self._stream.notify(dialog, event_type, text)
            else:  # Ended and forgotten, with its sequence; the clock's is higher.
                dialog_id = DialogId(topics.owner_of(topic))
                payload = self._stream.envelope(event_type, text, dialog_id, number)
                self._bus.publish(topic, payload)
