"""The ingest service: stands by or is active, and says so."""

import asyncio
from functools import partial
from typing import Any, Final, Literal
from urllib.parse import quote

import structlog

from ari_proxy.ari.errors import TransportError
from ari_proxy.ari.rest import RestClient
from ari_proxy.ari.websocket import EventSocket
from ari_proxy.bus.base import Bus
from ari_proxy.health import Check
from ari_proxy.protocol import topics
from ari_proxy.protocol.ids import ServerId
from ari_proxy.settings.load import Settings
from ari_proxy.telemetry import metrics as table
from ari_proxy.telemetry.metrics import Metrics

from .lease import Lease, Unshared
from .term import Term

_log = structlog.get_logger()

#: Seconds that a stopping ingest waits for one that stands by.
SUCCESSOR_SECONDS: Final = 3.0

State = Literal["standby", "active", "handed_over"]


class Ingest:
    """Publishes the events of one Asterisk, when it is its turn."""

    def __init__(
        self,
        settings: Settings,
        bus: Bus,
        rest: RestClient,
        socket: EventSocket,
        metrics: Metrics,
        lease: Lease | None = None,
    ) -> None:
        self._settings = settings
        self._server = ServerId(settings.server_id)
        self._bus = bus
        self._rest = rest
        self._metrics = metrics
        self._new_term = partial(Term, settings, bus, rest, socket, metrics=metrics)
        self._lease = lease or Unshared()
        self._term: Term | None = None
        # Without others there is nobody to stand by for.
        self._state: State = "standby" if self._lease.is_shared else "active"
        metrics.read(table.WEBSOCKET_CONNECTED, lambda: self._is_connected, self._server)
        metrics.read(table.ACTIVE, lambda: self._state == "active", self._server)
        metrics.read(table.APPLICATIONS_REPLACED, lambda: len(self._replaced), self._server)
        metrics.read(table.DIALOGS, self._count_dialogs, self._server)
        metrics.read(table.LEFT_BEHIND, self._count_left_behind, self._server)

    async def run(self, stop: asyncio.Event) -> None:
        """Serve until `stop`, then finish what has begun."""
        transitions = self._metrics.counter(table.LEASE_TRANSITIONS, self._server)
        while await _unless(stop, self._lease.acquire()):
            transitions.inc()
            await self._serve(stop)
            transitions.inc()
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
            self._term = term
            self._state = "active"
            _log.info("ingest.active")
            keeping = tasks.create_task(self._keep(stop, over, term))
            outcome = await term.run(over)
            keeping.cancel()
            self._state = "handed_over" if outcome == "handed_over" else "standby"
            _log.info("ingest.passive", outcome=outcome)
        self._term = None
        await self._bus.disown()

    async def _keep(self, stop: asyncio.Event, over: asyncio.Event, term: Term) -> None:
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

    # What there is to see

    @property
    def _is_connected(self) -> bool:
        return self._term is not None and self._term.is_connected

    @property
    def _replaced(self) -> set[str]:
        return self._term.replaced if self._term is not None else set()

    def _count_dialogs(self) -> int:
        return len(self._term.router) if self._term is not None else 0

    def _count_left_behind(self) -> int:
        return len(self._term.queues.left_behind) if self._term is not None else 0

    @property
    def checks(self) -> dict[str, Check]:
        """What has to be true for events to flow; one that stands by is ready for its turn."""
        return {"websocket": self._check_websocket, "applications": self._check_applications}

    async def _check_websocket(self) -> str:
        if self._state == "handed_over" and not self._lease.is_shared:
            return "another ingest has taken over; stop this one"
        if self._state != "active" or self._is_connected:
            return ""
        return "the events websocket is not connected"

    async def _check_applications(self) -> str:
        if self._state != "active":
            return ""
        if self._replaced:
            return f"another client has taken {', '.join(sorted(self._replaced))}"
        for application in self._settings.applications:
            try:
                path = f"/applications/{quote(application, safe='')}"
                answer = await self._rest.request("GET", path, timeout_seconds=1)
            except TransportError as error:
                return str(error)
            if answer.status != 200:  # noqa: PLR2004  HTTP's OK
                return f"Asterisk answers {answer.status} for {application}"
        return ""

    def dialogs(self) -> list[dict[str, Any]]:
        """Return the dialogs for the admin API."""
        return [
            {
                "dialog_id": dialog.dialog_id,
                "application": dialog.application,
                "channels": sorted(dialog.channels),
                "events": dialog.sequence,
                "state": _state(dialog.is_ended, dialog.is_abandoned, dialog.held is not None),
            }
            for dialog in (self._term.router.dialogs if self._term is not None else ())
        ]


def _state(ended: bool, abandoned: bool, waiting: bool) -> str:  # noqa: FBT001  three facts
    if ended:
        return "ended"
    if abandoned:
        return "abandoned"
    return "waiting" if waiting else "open"


async def _unless(stop: asyncio.Event, work: Any) -> bool:
    """Await `work` until it is done, or until `stop`; return whether it was done."""
    async with asyncio.TaskGroup() as tasks:
        working, stopping = tasks.create_task(work), tasks.create_task(stop.wait())
        await asyncio.wait((working, stopping), return_when=asyncio.FIRST_COMPLETED)
        done = working.done()
        working.cancel()
        stopping.cancel()
    return done and not stop.is_set()
