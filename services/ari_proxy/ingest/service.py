"""The ingest service: stands by or is active, and says so."""

import asyncio
from collections.abc import Coroutine
from functools import partial
from typing import Any, Final, Literal, NamedTuple, get_args
from urllib.parse import quote

import structlog

from ari_proxy.ari.errors import TransportError
from ari_proxy.ari.rest import RestClient
from ari_proxy.ari.websocket import EventSocket
from ari_proxy.bus.base import Bus
from ari_proxy.first_of import first_of
from ari_proxy.health import Check
from ari_proxy.protocol import topics
from ari_proxy.protocol.ids import ServerId
from ari_proxy.protocol.messages import ObjectKind
from ari_proxy.settings.load import Settings
from ari_proxy.tap.tap import Tap
from ari_proxy.telemetry import metrics as table
from ari_proxy.telemetry.metrics import Metrics
from ari_proxy.telemetry.traces import Traces

from .dialogs import Dialog
from .lease import Lease, Unshared
from .phase import Delivery
from .reader import EndReason
from .records import PAGE_BYTES
from .tally import Tally
from .term import Term
from .wiring import TIMES, Times

_log = structlog.get_logger()

#: Seconds that a stopping ingest waits for one that stands by.
SUCCESSOR_SECONDS: Final = 3.0
OBJECT_KINDS: Final[tuple[ObjectKind, ...]] = get_args(ObjectKind)


class Newest(NamedTuple):
    """Some dialogs of many."""

    dialogs: list[dict[str, Any]]
    found: int
    total: int


State = Literal["standby", "active", "handed_over"]


class Ingest:
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
        self._settings = settings
        self._server = ServerId(settings.server_id)
        self._bus = bus
        self._rest = rest
        self._socket = socket
        self._metrics = metrics
        self._tally = tally = Tally()
        tap.dialogs = self._watched
        self._new_term = partial(
            Term,
            settings,
            bus,
            rest,
            socket,
            metrics=metrics,
            tally=tally,
            tap=tap,
            traces=traces,
            times=times,
            page_bytes=page_bytes,
        )
        self._lease = lease or Unshared()
        self._term: Term | None = None
        # Without others there is nobody to stand by for.
        self._state: State = "standby" if self._lease.is_shared else "active"
        self._declare_metrics()

    def _declare_metrics(self) -> None:
        read, server, tally = self._metrics.read, self._server, self._tally
        for application in self._settings.applications:
            serves = partial(self._serves, application)
            read(table.WEBSOCKET_CONNECTED, serves, server, application)
        for name in tally.received:
            read(table.EVENTS_RECEIVED, partial(tally.received.__getitem__, name), server, name)
        for kind in OBJECT_KINDS:
            read(table.BOUND_OBJECTS, partial(self._count_objects, kind), server, kind)
        self._begin_at_zero()
        read(table.ACTIVE, lambda: self._state == "active", server)
        read(table.APPLICATIONS_REPLACED, lambda: len(self._replaced), server)
        read(table.DIALOGS, self._count_dialogs, server)
        read(table.LEFT_BEHIND, self._count_left_behind, server)
        read(table.LAST_EVENT, lambda: tally.last_event_ns / 1e9, server)
        read(table.RECEIVED_BYTES, lambda: tally.received_bytes, server)
        read(table.EVENTS_PUBLISHED, lambda: tally.published, server)

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
        return self._term is not None and self._term.reader.is_connected

    @property
    def _replaced(self) -> set[str]:
        return self._term.reader.replaced if self._term is not None else set()

    def _begin_at_zero(self) -> None:
        """Have the counters of what has not happened yet: their first event is a rise, too."""
        counter, server = self._metrics.counter, self._server
        for reason in ("held_too_long", "no_listener", "fenced"):
            counter(table.EVENTS_DROPPED, server, reason)
        counter(table.WEBSOCKET_CONNECTS, server)
        for end in get_args(EndReason):
            counter(table.WEBSOCKET_DISCONNECTS, server, end)
        for application in self._settings.applications:
            counter(table.DIALOGS_STARTED, server, application)
            counter(table.DIALOGS_ENDED, server, application)
            for result in ("accepted", "no_listener"):
                counter(table.APP_STARTS, server, application, result)

    def _serves(self, application: str) -> bool:
        return self._is_connected and application not in self._replaced

    def _count_objects(self, kind: ObjectKind) -> int:
        return len(self._term.parts.router.table.tables[kind]) if self._term is not None else 0

    def _count_dialogs(self) -> int:
        return len(self._term.parts.router) if self._term is not None else 0

    def _count_left_behind(self) -> int:
        return len(self._term.parts.queues.left_behind) if self._term is not None else 0

    @property
    def checks(self) -> dict[str, Check]:
        """What has to be true for events to flow; one that stands by is ready for its turn."""
        return {"websocket": self._check_websocket, "applications": self._check_applications}

    async def _check_websocket(self) -> str:
        if self._state == "handed_over" and not self._lease.is_shared:
            return "another ingest has taken over; stop this one"
        if self._state != "active" or self._is_connected:
            return ""
        reason = "the events websocket is not connected"
        return f"{reason}: {self._socket.untrusted}" if self._socket.untrusted else reason

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

    def _watched(self) -> dict[str, str] | None:
        """Return the open dialogs with their applications, or None while it is not its turn."""
        if self._term is None:
            return None
        dialogs = self._term.parts.router.dialogs
        return {d.dialog_id: d.application for d in dialogs if not d.is_ended}

    @property
    def _dialogs(self) -> tuple[Dialog, ...]:
        return self._term.parts.router.dialogs if self._term is not None else ()

    def dialogs(self) -> list[dict[str, Any]]:
        """Return the dialogs for the admin API."""
        return [_shown(dialog) for dialog in self._dialogs]

    def count_open(self) -> int | None:
        """Return how many dialogs are not over; none of one that stands by.

        None at its turn until they have been brought up to date: Asterisk, or the ingest before
        this one, may have some that it knows nothing of.
        """
        term = self._term
        is_known = term.reader.is_up_to_date if term is not None else self._state != "active"
        if not is_known:
            return None
        return sum(not dialog.is_ended for dialog in self._dialogs)

    def newest(self, find: str, limit: int) -> Newest:
        """Return the newest dialogs that have a text in them, for the console.

        Nothing is made of those that are not shown: there may be thousands, and events wait.
        """
        dialogs = self._dialogs
        found = [dialog for dialog in dialogs if _has(dialog, find)] if find else dialogs
        shown = [_shown(dialog) for dialog in found[: -limit - 1 : -1]]
        return Newest(shown, found=len(found), total=len(dialogs))


def _has(dialog: Dialog, find: str) -> bool:
    own = dialog.dialog_id, dialog.application, *dialog.channels
    return any(find in text for text in own)


def _shown(dialog: Dialog) -> dict[str, Any]:
    return {
        "dialog_id": dialog.dialog_id,
        "application": dialog.application,
        "channels": sorted(dialog.channels),
        "events": dialog.sequence,
        "state": _state(dialog),
    }


def _state(dialog: Dialog) -> str:
    if dialog.is_ended:
        return "ended"
    if dialog.is_abandoned:
        return "abandoned"
    return "open" if dialog.delivery is Delivery.OPEN else "waiting"


async def _unless(stop: asyncio.Event, work: Coroutine[Any, Any, object]) -> bool:
    """Await `work` until it is done, or until `stop`; return whether it was done."""
    return await first_of(work, stop.wait()) == 0 and not stop.is_set()
