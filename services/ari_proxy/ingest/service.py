"""The ingest service: stands by, or is active while it has the lease."""

import asyncio
from collections.abc import Coroutine
from functools import partial
from typing import Any, Final

import structlog

from ari_proxy.aio import run_until_first
from ari_proxy.ari.rest import RestClient
from ari_proxy.ari.websocket import EventSocket
from ari_proxy.bus.base import Bus
from ari_proxy.ingest.handover.messages import PAGE_BYTES
from ari_proxy.ingest.lease.base import Lease, Unshared
from ari_proxy.ingest.publishing.event_counters import EventCounters
from ari_proxy.protocol import topics
from ari_proxy.protocol.ids import ServerId
from ari_proxy.settings.load import Settings
from ari_proxy.tap.tap import Tap
from ari_proxy.telemetry import metrics_table as table
from ari_proxy.telemetry.metrics import Metrics
from ari_proxy.telemetry.traces import Traces

from .active import ActiveIngest
from .activity import Activity
from .admin_view import AdminView
from .metrics import declare
from .readiness import Readiness
from .wiring import TIMES, Times

_log = structlog.get_logger()

#: Seconds that a stopping ingest waits for one that stands by.
SUCCESSOR_SECONDS: Final = 3.0


class IngestService:
    """Publishes the events of one Asterisk, when it is its turn."""

    def __init__(  # noqa: PLR0913  all that events meet
        self,
        settings: Settings,
        bus: Bus,
        rest: RestClient,
        socket: EventSocket,
        metrics: Metrics,
        lease: Lease | None = None,
        *,
        tap: Tap,
        traces: Traces,
        times: Times = TIMES,
        page_bytes: int = PAGE_BYTES,
    ) -> None:
        self._server = ServerId(settings.server_id)
        self._bus = bus
        self._lease = lease or Unshared()
        self._transitions = metrics.counter(table.LEASE_TRANSITIONS, self._server)
        counters = EventCounters()
        self._new_term = partial(
            ActiveIngest,
            settings,
            bus,
            rest,
            socket,
            metrics=metrics,
            counters=counters,
            tap=tap,
            traces=traces,
            times=times,
            page_bytes=page_bytes,
        )
        self._activity = Activity(is_shared=self._lease.is_shared)
        self.view = AdminView(self._activity)
        self.checks = Readiness(self._activity, settings.applications, rest, socket).checks
        tap.set_dialogs(self.view.watched)
        declare(metrics, settings, counters, self._activity)

    async def run(self, stop: asyncio.Event) -> None:
        """Serve until `stop`, then finish what has begun."""
        while await _unless(stop, self._lease.acquire()):
            self._transitions.inc()
            await self._serve(stop)
            self._transitions.inc()
            await self._lease.release()
            if stop.is_set():
                return
            if not self._lease.is_shared:
                # Its successor was started to stay; whoever has started it stops this one.
                await stop.wait()

    async def _serve(self, stop: asyncio.Event) -> None:
        over = asyncio.Event()
        async with asyncio.TaskGroup() as tasks:
            term = self._new_term(tasks=tasks, is_permitted=self._lease.is_valid)
            self._activity.begin(term)
            _log.info("ingest.active")
            keeping = tasks.create_task(self._keep(stop, over, term))
            outcome = await term.run(over)
            keeping.cancel()
            self._activity.pause(is_handed_over=outcome == "handed_over")
            _log.info("ingest.passive", outcome=outcome)
        self._activity.end()
        if self._bus.queues is not None:
            await self._bus.queues.release()

    async def _keep(self, stop: asyncio.Event, over: asyncio.Event, term: ActiveIngest) -> None:
        """Have the term end: at `stop`, with a chance for whoever stands by, or without a lease."""
        if await _unless(stop, self._lease.keep()):
            _log.error("lease.lost")
            term.abort()
            # Whoever has it now goes on with the dialogs: ours would come late and out of order.
            self._bus.discard(topics.is_events)
        elif self._lease.is_shared:
            await self._lease.release()
            await term.wait_handed_over(SUCCESSOR_SECONDS)
        over.set()


async def _unless(stop: asyncio.Event, work: Coroutine[Any, Any, object]) -> bool:
    """Await `work` until it is done, or until `stop`; return whether it was done."""
    return await run_until_first(work, stop.wait()) == 0 and not stop.is_set()
