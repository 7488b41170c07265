"""One active period of an ingest, from acquiring the lease to shutdown or hand-over."""

import asyncio
import contextlib
from collections.abc import Collection
from contextlib import AsyncExitStack
from typing import Final, Literal

import structlog

from ari_proxy.aio import run_until_first
from ari_proxy.ari.connection_source import EventSource
from ari_proxy.bus.errors import BusUnavailableError
from ari_proxy.ingest.events.reader import EventReader
from ari_proxy.ingest.handover import messages
from ari_proxy.ingest.handover.giver import FLUSH_SECONDS, HandoverGiver
from ari_proxy.ingest.handover.taker import HandoverTaker
from ari_proxy.ingest.recovery.closing_mark import ClosingMark
from ari_proxy.ingest.routing.dialog import Dialog
from ari_proxy.ingest.routing.proxy_events import Missing
from ari_proxy.protocol import topics
from ari_proxy.protocol.ids import ServerId
from ari_proxy.protocol.messages import ObjectKind

from .active_phase import (
    ActivePhase,
    ActiveState,
    ActiveTrigger,
    DeparturePhase,
    DepartureTrigger,
)
from .catch_up import CatchUp, QueueCatchUp, SnapshotCatchUp
from .collector import DialogCollector
from .parts import TIMES, Surroundings, Times
from .permit import Permit
from .take_over import DialogTakeOver
from .wiring import wire

_log = structlog.get_logger()

#: For Asterisk to close its websocket in order; all that it has sent comes before that.
CLOSE_SECONDS: Final = 3.0

Outcome = Literal["stopped", "handed_over"]


class ActiveIngest:
    """Publishes the events of one Asterisk."""

    def __init__(
        self,
        around: Surroundings,
        socket: EventSource,
        tasks: asyncio.TaskGroup,
        *,
        permit: Permit,
        times: Times = TIMES,
        page_bytes: int = messages.PAGE_BYTES,
    ) -> None:
        """Initialise an ingest that has not started.

        Args:
            around: the parts that outlive this period.
            socket: connects to Asterisk's events.
            tasks: runs all tasks of this period.
            permit: to publish.
            times: instead of the usual ones.
            page_bytes: of the pages in which dialogs are handed over.
        """
        self._around = around
        self._server = ServerId(around.settings.server_id)
        bus = around.bus
        self._tasks = tasks
        self._times = times
        self._state = ActiveState()
        self._missing = Missing()
        self._socket = socket
        parts = self._parts = wire(around, tasks, permit=permit, times=times)
        self._reader = EventReader(
            self._server,
            socket,
            parts.frame_drain.buffer,
            canary=parts.canary,
            replaced=parts.replaced,
            metrics=around.metrics,
        )
        collector = DialogCollector(
            self._server,
            bus,
            self._state,
            self._reader,
            parts,
            self._missing,
            is_queued=socket.is_queued,
            page_bytes=page_bytes,
        )
        self._giver = HandoverGiver(
            bus,
            collector.collect,
            tasks,
            parts.replaced,
            silence_seconds=times.successor_seconds,
        )
        self._take_over = DialogTakeOver(
            topics.hand_over(self._server),
            HandoverTaker(bus, self._server),
            self._giver,
            state=self._state,
            reader=self._reader,
            parts=parts,
            missing=self._missing,
        )
        self._mark = ClosingMark(around.rest, self._server)
        self._catch_up: CatchUp = (
            QueueCatchUp(bus, parts, self._mark, self._missing, times)
            if socket.is_queued
            else SnapshotCatchUp(bus, parts, self._take_over, self._missing, times)
        )

    # State

    @property
    def is_connected(self) -> bool:
        """True while the events websocket is open."""
        return self._reader.is_connected

    @property
    def is_up_to_date(self) -> bool:
        """True once the dialogs are as Asterisk has them, until the next connect."""
        return self._reader.is_up_to_date

    @property
    def replaced(self) -> Collection[str]:
        """Applications that another client has taken."""
        return self._parts.replaced.names

    @property
    def dialogs(self) -> tuple[Dialog, ...]:
        """All dialogs, those in their grace period included."""
        return tuple(self._parts.dialogs)

    @property
    def orphans(self) -> int:
        """The number of dialogs of former ingests whose queues still exist."""
        queues = self._parts.queues
        return len(queues.orphans) if queues is not None else 0

    def objects(self, kind: ObjectKind) -> int:
        """Return how many objects of a kind belong to dialogs."""
        return len(self._parts.dialogs.objects.of_kind(kind))

    # Life cycle

    async def run(self, stop: asyncio.Event) -> Outcome:
        """Serve until `stop`, then finish the set-ups under way; or until handed over."""
        async with AsyncExitStack() as stack:
            await self._begin(stack)
            await run_until_first(stop.wait(), self._giver.wait_done())
            if self._giver.is_done:
                self._reader.stop()
                self._state.advance(ActiveTrigger.TAKEN)
                return "handed_over"
            self._state.depart(DepartureTrigger.STOP)
            await self._leave_mark()
            await self._disconnect()
            await self._finish()
            return "stopped"

    async def _begin(self, stack: AsyncExitStack) -> None:
        parts = self._parts
        self._around.bus.set_drop_handler(parts.ledger.note)
        stack.callback(self._around.bus.set_drop_handler, None)
        self._around.bus.set_unheard_handler(parts.ledger.note_unheard)
        stack.callback(self._around.bus.set_unheard_handler, None)
        for topic, handler in (
            (topics.bindings(self._server), parts.registrations.on_binding),
            (topics.owners(self._server), parts.registrations.on_question),
        ):
            subscription = await self._around.bus.subscribe(topic, handler)
            stack.push_async_callback(subscription.unsubscribe)
        stack.push_async_callback(self._take_over.end)
        for work in (
            parts.frame_drain.run(),
            parts.loss_reporter.run(),
            parts.sweeper.run(),
            parts.watchdog.watch(),
            parts.empty_dialogs.watch(),
            *parts.queue_work(self._around.settings.applications),
        ):
            stack.callback(self._tasks.create_task(work).cancel)
        self._reader.start(self._read(), self._tasks)
        stack.callback(self._reader.stop)

    def abort(self) -> None:
        """Finish nothing when it ends: another ingest may be active already."""
        self._state.depart(DepartureTrigger.EVICT)

    async def wait_handed_over(self, timeout_seconds: float) -> bool:
        """Return whether a successor has fetched the dialogs; wait a limited time for that."""
        self._state.depart(DepartureTrigger.LEAVE)
        if not self._reader.is_connected:
            await self._disconnect()
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(timeout_seconds):
                await self._giver.wait_done()
        return self._giver.is_done

    async def _disconnect(self) -> None:
        """Give up the websocket, and open no other one."""
        if self._socket.is_queued:
            await self._reader.finish(CLOSE_SECONDS)
        else:
            self._reader.stop()

    async def _leave_mark(self) -> None:
        """Tell the next process that it misses nothing, if that is so."""
        is_evicted = self._state.departure is DeparturePhase.EVICTED
        is_missing = self._missing.since is not None or self.replaced or not self._state.has_dialogs
        if is_evicted or is_missing or not (self._socket.is_queued and self._reader.is_connected):
            return
        with contextlib.suppress(BusUnavailableError):
            await self._around.bus.flush(timeout_seconds=FLUSH_SECONDS)
            await self._mark.leave()

    async def _finish(self) -> None:
        is_evicted = self._state.departure is DeparturePhase.EVICTED
        drain_seconds = 0.0 if is_evicted else self._around.settings.runtime.drain_seconds
        # The former ingest has let go of the dialogs that it has sent.
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(drain_seconds):
                await self._take_over.wait_done()
        await self._parts.frame_drain.finish(drain_seconds)
        self._parts.loss_reporter.report(is_last=True)
        self._parts.sweeper.finish()
        unheard = await self._parts.background.finish(drain_seconds)
        if unheard:
            _log.warning("drain.incomplete", dialogs_without_listener=unheard)

    # Connections

    async def _read(self) -> None:
        # Without a bus it could serve no call, and would take calls from an ingest that can.
        await self._around.bus.wait_connected()
        if self._socket.is_queued:
            # Until Asterisk connects, it keeps the events: nothing comes before the dialogs.
            self._begin_take_over()
            await self._take_over.wait_done()
        async with contextlib.aclosing(self._reader.connections()) as connections:
            async for connection in connections:
                self._on_connected()
                await self._reader.read(connection, self._catch_up.run)
                self._on_lost()
                if not self._state.may_reconnect:
                    return

    def _on_connected(self) -> None:
        """Hold the frames that follow; at the first connect, begin to take over the dialogs."""
        self._parts.frame_drain.buffer.close()
        if not self._state.has_dialogs:
            self._parts.frame_drain.open_within(self._times.hold_seconds)
        self._begin_take_over()

    def _begin_take_over(self) -> None:
        if self._state.phase is ActivePhase.CONNECTING:
            self._state.advance(ActiveTrigger.CONNECTED)
            self._take_over.begin(self._tasks)

    def _on_lost(self) -> None:
        """Note that events may be missing since the last one, or the last answer to a ping."""
        if not (self._socket.is_queued and self._reader.is_complete):
            self._missing.note(self._parts.pipeline.complete_until)
        if self._state.has_dialogs:
            # The frames held are older than the recovery of the next connection.
            self._parts.frame_drain.open()
