"""Stops an active ingest's work and collects its dialogs for a successor."""

import asyncio
import time

from ari_proxy.bus.base import Bus
from ari_proxy.bus.errors import BusUnavailableError
from ari_proxy.ingest.events.reader import EventReader
from ari_proxy.ingest.handover.giver import (
    FLUSH_SECONDS,
    PASS_SECONDS,
    PAUSE_SECONDS,
    REPLACED_SECONDS,
    Collected,
    HandoverFailedError,
    HandoverRefusedError,
)
from ari_proxy.ingest.handover.messages import PAGE_BYTES, pages, records_of
from ari_proxy.ingest.routing.proxy_events import Missing
from ari_proxy.protocol import topics
from ari_proxy.protocol.ids import ServerId

from .active_phase import ActiveState, ActiveTrigger, DeparturePhase
from .parts import Parts


class DialogCollector:
    """Collects the dialogs of one active ingest."""

    def __init__(  # noqa: PLR0913  all that has to stop
        self,
        server: ServerId,
        bus: Bus,
        state: ActiveState,
        reader: EventReader,
        parts: Parts,
        missing: Missing,
        *,
        is_queued: bool,
        page_bytes: int = PAGE_BYTES,
    ) -> None:
        self._server = server
        self._bus = bus
        self._state = state
        self._reader = reader
        self._parts = parts
        self._missing = missing
        self._is_queued = is_queued
        self._page_bytes = page_bytes

    async def collect(self) -> Collected:
        """Stop all work on the dialogs, and return them as they are then.

        Raises:
            HandoverRefusedError: Asterisk has not given the applications to a successor.
            HandoverFailedError: it has, but the bus has not confirmed the last events, or the lease
                was lost.
        """
        asked_at = time.time()
        self._state.advance(ActiveTrigger.ASKED)
        if self._is_queued:  # Asterisk connects to the successor, and keeps its events until then.
            await self._reader.finish(REPLACED_SECONDS)
        else:
            await self._wait_replaced()
        self._state.advance(ActiveTrigger.RELEASED)
        self._reader.stop()
        await self._stop_work()
        found = records_of(self._parts.dialogs)
        # A process that stood still has read what came meanwhile, and may publish it no more.
        self._missing.note(self._parts.pipeline.fenced_since)
        gap_since = self._missing.since
        return Collected(
            pages(found, gap_since=gap_since, page_bytes=self._page_bytes),
            until=min(asked_at, self._parts.pipeline.complete_until),
        )

    async def _wait_replaced(self) -> None:
        """Wait until Asterisk has given all applications to another client, if it has to."""
        replaced = self._parts.replaced
        self._parts.frame_drain.open()  # ApplicationReplaced may be among the frames held.
        was_connected = self._reader.is_connected
        if not was_connected:
            self._reader.stop()
            return
        try:
            async with asyncio.timeout(REPLACED_SECONDS):
                await replaced.wait_all()
                # Some of what was being sent may have come behind it.
                await self._reader.read_so_far()
        except TimeoutError:
            if replaced.are_all:
                self._missing.note(self._parts.pipeline.complete_until)
        # The connection may have been lost meanwhile.
        if self._reader.is_connected and not replaced.are_all:
            self._state.advance(ActiveTrigger.REFUSED)
            raise HandoverRefusedError(
                "Asterisk has not given the applications to another client: do two ingests of "
                f"different Asterisks have the same server_id {self._server}?"
            )

    async def _stop_work(self) -> None:
        parts = self._parts
        await parts.frame_drain.finish(PASS_SECONDS)
        parts.setup.pause()
        parts.sweeper.pause()
        await parts.background.finish(PAUSE_SECONDS)
        parts.loss_reporter.report(is_last=True)
        try:
            await self._bus.flush(timeout_seconds=FLUSH_SECONDS)
        except BusUnavailableError as error:
            # The successor has the applications: the events that wait would be late.
            self._bus.discard(topics.is_events)
            raise HandoverFailedError(str(error)) from error
        if self._state.departure is DeparturePhase.EVICTED:
            raise HandoverFailedError("the lease was lost")
