"""Tells applications which of their events the bus's buffer has lost.

The sequence of what comes later has a hole; a ProxyGap says why, from when to when, and how many.
It is sent once the buffer has room again, so it may come behind later events.
"""

import asyncio
import time
from collections.abc import Callable
from typing import Final

from ari_proxy.bus.base import Bus
from ari_proxy.ingest.routing import proxy_events
from ari_proxy.ingest.routing.dialog import Dialog
from ari_proxy.ingest.routing.dialog_table import DialogTable
from ari_proxy.ingest.routing.phase import DeliveryPhase, LifePhase
from ari_proxy.ingest.routing.proxy_events import Gap, GapReason
from ari_proxy.protocol import topics
from ari_proxy.protocol.ids import DialogId

from .dialog_stream import DialogStream
from .loss_ledger import LossLedger

#: Seconds between looks whether the bus has room for what is to be told.
LOOK_SECONDS: Final = 0.1


class LossReporter:
    """Sends what stands in the ledger to the applications."""

    def __init__(
        self,
        ledger: LossLedger,
        bus: Bus,
        dialogs: DialogTable,
        stream: DialogStream,
        *,
        buffer_bytes: int,
        is_permitted: Callable[[], bool],
    ) -> None:
        """Make one.

        Args:
            ledger: has the losses.
            bus: which may lose what is published.
            dialogs: of this server.
            stream: publishes the reports.
            buffer_bytes: of the bus. Losses are told while half of them are free.
            is_permitted: returns whether we may publish events now.
        """
        self._ledger = ledger
        self._bus = bus
        self._dialogs = dialogs
        self._stream = stream
        self._room = buffer_bytes // 2
        self._is_permitted = is_permitted

    async def run(self) -> None:
        """Tell what is lost when the bus has room again, for ever."""
        while True:
            await self._ledger.wait_filled()
            await self._bus.wait_connected()
            self.tell()
            await asyncio.sleep(LOOK_SECONDS)

    def tell(self) -> None:
        """Tell what can be told now, as far as the bus has room: it must not lose more by that."""
        for topic, reason in self._ledger.entries():
            if self._bus.buffered_bytes > self._room or not self._is_permitted():
                return
            dialog = self._dialogs.dialogs.get(topics.owner_of(topic))
            if dialog is None or dialog.delivery is DeliveryPhase.OPEN:
                self._tell(topic, dialog, reason)
            elif dialog.is_abandoned:  # Nobody listens; else its application does not yet.
                self._ledger.remove(topic, reason)

    def _tell(self, topic: str, dialog: Dialog | None, reason: GapReason) -> None:
        loss = self._ledger.remove(topic, reason)
        if loss is None:
            return  # Too many others have come.
        now = time.time()
        gap = Gap(reason, loss.since, loss.until, loss.count)
        told = [(proxy_events.GAP, gap.event(loss.application, now))]
        if loss.end and (dialog is None or dialog.life is LifePhase.REPORTED):
            told.append((proxy_events.DIALOG_ENDED, loss.end))
        for number, (event_type, text) in enumerate(told, start=int(now * 1e6)):
            if dialog is not None:
                self._stream.notify(dialog, event_type, text)
            else:  # It is over and forgotten, and so is its sequence; that of a clock is higher.
                dialog_id = DialogId(topics.owner_of(topic))
                payload = self._stream.envelope(event_type, text, dialog_id, number)
                self._bus.publish(topic, payload)
