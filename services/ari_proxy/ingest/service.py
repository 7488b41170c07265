"""The ingest service: stands by, or is active while it has the lease."""

import asyncio
from collections.abc import Coroutine
from functools import partial
from typing import Any, Final

import structlog

from ari_proxy.aio import run_until_first
from ari_proxy.ari.connection_source import EventSource
from ari_proxy.ingest.handover.messages import PAGE_BYTES
from ari_proxy.ingest.lease.base import Lease, Unshared
from ari_proxy.protocol import topics
from ari_proxy.protocol.ids import ServerId
from ari_proxy.telemetry import metrics_table as table

from .active import ActiveIngest
from .activity import Activity
from .admin_view import AdminView
from .metrics import declare
from .parts import TIMES, Surroundings, Times
from .readiness import Readiness

_log = structlog.get_logger()

#: Seconds that a stopping ingest waits for a standby to take over.
SUCCESSOR_SECONDS: Final = 3.0
#: Seconds that it waits before that for its bus, over which dialogs are handed over; longer than
#: the pause between two attempts to connect.
BUS_SECONDS: Final = 6.0


class IngestService:
    """Publishes the events of one Asterisk while it is the active ingest."""

    def __init__(
        self,
        around: Surroundings,
        socket: EventSource,
        lease: Lease | None = None,
        *,
        times: Times = TIMES,
        page_bytes: int = PAGE_BYTES,
    ) -> None:
        """Initialise a service that has not started.

        Args:
            around: all that an ingest uses.
            socket: connects to Asterisk's events.
            lease: shared with the other ingests of the server, if there may be any.
            times: instead of the usual ones.
            page_bytes: of the pages in which dialogs are handed over.
        """
        settings = around.settings
        server = ServerId(settings.server_id)
        self._bus = around.bus
        self._lease = lease or Unshared()
        self._transitions = around.metrics.counter(table.LEASE_TRANSITIONS, server)
        self._new_active = partial(ActiveIngest, around, socket, times=times, page_bytes=page_bytes)
        self._activity = Activity(is_shared=self._lease.is_shared)
        self.view = AdminView(self._activity)
        readiness = Readiness(
            self._activity, self._lease, settings.applications, around.rest, socket
        )
        self.checks = readiness.checks
        around.tap.set_dialogs(self.view.watched)
        declare(around.metrics, settings, around.counters, self._activity)

    async def run(self, stop: asyncio.Event) -> None:
        """Serve until `stop`, then finish what has begun."""
        try:
            await self._run(stop)
        finally:
            # Metrics go on to be read if it has failed.
            self._activity.pause(is_handed_over=False)
            self._activity.end()
            await self._lease.close()

    async def _run(self, stop: asyncio.Event) -> None:
        while await _unless(stop, self._lease.acquire()):
            self._transitions.inc()
            await self._serve(stop)
            self._transitions.inc()
            await self._lease.release()
            if stop.is_set():
                return
            if not self._lease.is_shared:
                # Its successor stays active: this process only waits for its end.
                await stop.wait()

    async def _serve(self, stop: asyncio.Event) -> None:
        over = asyncio.Event()
        async with asyncio.TaskGroup() as tasks:
            active = self._new_active(tasks, permit=self._lease)
            self._activity.begin(active)
            _log.info("ingest.active")
            keeping = tasks.create_task(self._keep(stop, over, active))
            outcome = await active.run(over)
            keeping.cancel()
            self._activity.pause(is_handed_over=outcome == "handed_over")
            _log.info("ingest.passive", outcome=outcome)
        self._activity.end()
        if self._bus.queues is not None:
            await self._bus.queues.release()

    async def _keep(self, stop: asyncio.Event, over: asyncio.Event, active: ActiveIngest) -> None:
        """Keep the lease until `stop`, then let a standby take over; set `over` when it may end."""
        if await _unless(stop, self._lease.keep()):
            _log.error("lease.lost")
            self._let_go(active)
        else:
            active.begin_end()
            if self._lease.is_shared:
                await self._leave(active)
        over.set()

    async def _leave(self, active: ActiveIngest) -> None:
        """Let a standby take over, which asks for the dialogs over the bus."""
        waits = self._lease.keep(), self._bus.wait_connected(), asyncio.sleep(BUS_SECONDS)
        if await run_until_first(*waits) != 1:
            self._let_go(active)
            return
        reconnects = self._bus.reconnects
        await self._lease.release()
        is_handed_over = await active.wait_handed_over(SUCCESSOR_SECONDS)
        was_lost = self._bus.reconnects != reconnects or not self._bus.is_connected
        if was_lost and not is_handed_over:
            self._let_go(active)

    def _let_go(self, active: ActiveIngest) -> None:
        """Publish nothing more: another ingest goes on with the dialogs, or is about to.

        Our events would be late and out of order, and a call could be announced twice.
        """
        active.abort()
        self._bus.discard(topics.is_events)


async def _unless(stop: asyncio.Event, work: Coroutine[Any, Any, object]) -> bool:
    """Await `work` until it is done, or until `stop`; return whether it was done."""
    return await run_until_first(work, stop.wait()) == 0 and not stop.is_set()
