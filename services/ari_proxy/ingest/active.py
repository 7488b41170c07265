"""One active period of an ingest, from acquiring the lease to shutdown or hand-over."""

import asyncio
import contextlib
from collections.abc import Collection
from contextlib import AsyncExitStack
from typing import Literal

import structlog

from ari_proxy.aio import Deadline, run_until_first
from ari_proxy.ari.connection_source import EventSource
from ari_proxy.ingest.events.reader import EventReader
from ari_proxy.ingest.handover import messages
from ari_proxy.ingest.handover.giver import PAUSE_SECONDS, HandoverGiver
from ari_proxy.ingest.handover.taker import HandoverTaker
from ari_proxy.ingest.recovery.closing_mark import ClosingMark
from ari_proxy.ingest.routing.dialog import Dialog
from ari_proxy.ingest.routing.proxy_events import Missing
from ari_proxy.protocol import topics
from ari_proxy.protocol.ids import ServerId
from ari_proxy.protocol.messages import ObjectKind

from .active_phase import (
    ActiveState,
    ActiveTrigger,
    DeparturePhase,
    DepartureTrigger,
)
from .catch_up import CatchUp, QueueCatchUp, SnapshotCatchUp
from .collector import DialogCollector
from .connections import EventConnections
from .parts import TIMES, Surroundings, Times
from .permit import Permit
from .take_over import DialogTakeOver
from .wiring import wire

_log = structlog.get_logger()

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
        self._server = server = ServerId(around.settings.server_id)
        self._tasks = tasks
        self._final_seconds = times.final_seconds
        self._deadline: Deadline | None = None
        self._state = ActiveState()
        bus, missing = around.bus, Missing()
        parts = self._parts = wire(around, tasks, permit=permit, times=times)
        self._reader = EventReader(
            self._server,
            socket,
            parts.frame_drain.buffer,
            canary=parts.canary,
            replaced=parts.replaced,
            freed=parts.freed,
            metrics=around.metrics,
        )
        collector = DialogCollector(
            self._server,
            bus,
            self._state,
            self._reader,
            parts,
            missing,
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
            missing=missing,
            canary_seconds=times.first_canary_seconds,
        )
        mark = ClosingMark(around.rest, server)
        catch_up: CatchUp = (
            QueueCatchUp(bus, parts, mark, missing, times)
            if socket.is_queued
            else SnapshotCatchUp(bus, parts, self._take_over, missing, times)
        )
        self._connections = EventConnections(
            bus,
            socket,
            self._reader,
            state=self._state,
            parts=parts,
            missing=missing,
            take_over=self._take_over,
            catch_up=catch_up,
            mark=mark,
            times=times,
        )

    # State

    @property
    def connection(self) -> object:
        """The newest events websocket, as something to compare; None before the first one."""
        return self._reader.connection

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
            deadline = self.begin_end()
            is_final = self._around.settings.ingest.final
            if is_final:
                # Perhaps only its pod was evicted, and another one is about to go on.
                seconds = min(self._final_seconds, deadline.seconds)
                await run_until_first(self._giver.wait_done(), asyncio.sleep(seconds))
            if self._giver.is_done:
                self._reader.stop()
                self._state.advance(ActiveTrigger.TAKEN)
                return "handed_over"
            self._state.depart(DepartureTrigger.STOP)
            if is_final:
                await self._end_dialogs(deadline)
            await self._connections.leave(deadline)
            await self._finish(deadline)
            return "stopped"

    def begin_end(self) -> Deadline:
        """Return the end of the time for all that is left to do, which begins with the first call.

        The wait for a successor belongs to it: Kubernetes counts from the signal, too.
        """
        if self._deadline is None:
            self._deadline = Deadline(self._around.settings.runtime.drain_seconds)
        return self._deadline

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
        self._reader.start(self._connections.run(self._tasks), self._tasks)
        stack.callback(self._reader.stop)

    def abort(self) -> None:
        """Finish nothing when it ends: another ingest may be active already."""
        self._state.depart(DepartureTrigger.EVICT)

    async def wait_handed_over(self, timeout_seconds: float) -> bool:
        """Return whether a successor has fetched the dialogs; wait a limited time for that."""
        self._state.depart(DepartureTrigger.LEAVE)
        if not self._reader.is_connected:
            await self._connections.disconnect(self.begin_end())
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(timeout_seconds):
                await self._giver.wait_done()
        return self._giver.is_done

    def _remaining(self, deadline: Deadline, *, least: float = 0) -> float:
        """Return the seconds that are left; of an ingest that has lost its lease, none."""
        is_evicted = self._state.departure is DeparturePhase.EVICTED
        return 0 if is_evicted else max(deadline.seconds, least)

    async def _end_dialogs(self, deadline: Deadline) -> None:
        """End the dialogs that are left; commands to Asterisk need the websocket, perhaps."""
        if self._state.departure is DeparturePhase.EVICTED:
            return
        self._parts.setup.pause()
        await self._parts.background.finish(PAUSE_SECONDS)
        self._parts.sweeper.end_all("server_removed")
        await self._parts.background.finish(self._remaining(deadline))

    async def _finish(self, deadline: Deadline) -> None:
        # The former ingest has let go of the dialogs that it has sent.
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(self._remaining(deadline)):
                await self._take_over.wait_done()
        await self._parts.frame_drain.finish(self._remaining(deadline))
        self._parts.loss_reporter.report(is_last=True)
        self._parts.sweeper.finish()
        # What begins only here needs a moment, however late it is.
        seconds = self._remaining(deadline, least=PAUSE_SECONDS)
        unheard = await self._parts.background.finish(seconds)
        if unheard:
            _log.warning("drain.incomplete", dialogs_without_listener=unheard)
