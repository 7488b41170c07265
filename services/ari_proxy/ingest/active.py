"""One term of office: an ingest is the active one of its server, until it stops or hands over."""

import asyncio
import contextlib
import time
from collections.abc import Callable, Collection
from contextlib import AsyncExitStack
from functools import partial
from typing import Literal

import structlog

from ari_proxy.aio import run_until_first
from ari_proxy.ari.rest import RestClient
from ari_proxy.ari.websocket import DEAD_SECONDS, EventSocket
from ari_proxy.bus.base import Bus
from ari_proxy.bus.errors import BusUnavailableError
from ari_proxy.ingest.events.reader import Reader, Work
from ari_proxy.ingest.handover import giver as hand_over
from ari_proxy.ingest.handover import messages as records
from ari_proxy.ingest.handover.giver import Collected, HandoverGiver, HandoverRefusedError
from ari_proxy.ingest.handover.taker import HandoverSnapshot, HandoverTaker
from ari_proxy.ingest.publishing.event_counters import EventCounters
from ari_proxy.ingest.recovery.recovery import Unserved
from ari_proxy.ingest.routing.proxy_events import UNKNOWN, Gap, Missing
from ari_proxy.protocol import topics
from ari_proxy.protocol.ids import ServerId
from ari_proxy.settings.load import Settings
from ari_proxy.tap.tap import Tap
from ari_proxy.telemetry.metrics import Metrics
from ari_proxy.telemetry.traces import Traces

from .wiring import TIMES, Surroundings, Times, wire

_log = structlog.get_logger()

Outcome = Literal["stopped", "handed_over"]


class ActiveIngest:
    """Publishes the events of one Asterisk."""

    def __init__(  # noqa: PLR0913  everything it needs, once per term
        self,
        settings: Settings,
        bus: Bus,
        rest: RestClient,
        socket: EventSocket,
        *,
        metrics: Metrics,
        tasks: asyncio.TaskGroup,
        is_permitted: Callable[[], bool],
        counters: EventCounters,
        tap: Tap,
        traces: Traces,
        times: Times = TIMES,
        page_bytes: int = records.PAGE_BYTES,
    ) -> None:
        self._settings = settings
        self._server = ServerId(settings.server_id)
        self._bus = bus
        self._rest = rest
        self._tasks = tasks
        self._times = times
        self._page_bytes = page_bytes
        around = Surroundings(
            settings=settings,
            bus=bus,
            rest=rest,
            metrics=metrics,
            counters=counters,
            tap=tap,
            traces=traces,
        )
        parts = self.parts = wire(
            around,
            tasks,
            is_permitted=is_permitted,
            on_replaced=self._on_replaced,
            times=times,
        )
        self._passage = parts.passage
        self._gate = parts.passage.gate
        self._recovery = parts.recovery
        self.reader = Reader(
            self._server,
            socket,
            parts.proof,
            take=self._gate.take,
            on_connected=self._on_connected,
            recover=self._recover,
            on_lost=self._on_lost,
            metrics=metrics,
        )
        self._hand_over = HandoverGiver(
            bus, self._collect, tasks, silence_seconds=times.taken_seconds
        )
        self._take_over = HandoverTaker(
            bus,
            self._server,
            tasks,
            load=self._load,
            on_request=self._hand_over.on_request,
        )
        self._reading: asyncio.Task[None] | None = None
        self._is_ending = False  # There may be a successor at any time.
        self._drain_seconds = settings.runtime.drain_seconds
        self._missing = Missing()

    async def run(self, stop: asyncio.Event) -> Outcome:
        """Serve until `stop`, then finish the set-ups that have begun; or until handed over."""
        async with AsyncExitStack() as ending:
            await self._begin(ending)
            await run_until_first(stop.wait(), self._hand_over.done.wait())
            self._stop_reading()
            if self._hand_over.done.is_set():
                return "handed_over"
            await self._finish()
            return "stopped"

    async def _begin(self, ending: AsyncExitStack) -> None:
        parts = self.parts
        self._bus.on_dropped = parts.ledger.note
        ending.callback(setattr, self._bus, "on_dropped", lambda *_: None)
        for topic, handler in (
            (topics.bindings(self._server), parts.registrations.on_binding),
            (topics.owners(self._server), parts.registrations.on_question),
        ):
            subscription = await self._bus.subscribe(topic, handler)
            ending.push_async_callback(subscription.unsubscribe)
        ending.push_async_callback(self._take_over.end)
        for work in (
            self._passage.run(),
            parts.loss_reporter.run(),
            parts.sweeper.run(),
            parts.watchdog.watch(),
            parts.empty_dialogs.watch(),
            *(parts.queues.work(self._settings.applications) if parts.queues else ()),
        ):
            ending.callback(self._tasks.create_task(work).cancel)
        self._reading = self._tasks.create_task(self.reader.run(self._bus))
        ending.callback(self._stop_reading)

    def _stop_reading(self) -> None:
        """Close the connection; asked twice for it, it would do so at once, and not in order."""
        if self._reading is not None and not self._reading.cancelling():
            self._reading.cancel()

    def _connect_no_more(self) -> None:
        """Keep the connection; another one would take from a successor what it has."""
        self.reader.is_last = True
        if not self.reader.is_connected:
            self._stop_reading()

    def abort(self) -> None:
        """Finish nothing when it is over: somebody else may have begun to serve."""
        self._drain_seconds = 0.0

    async def wait_handed_over(self, timeout_seconds: float) -> None:
        """Give a successor some time to ask for the dialogs."""
        self._is_ending = True
        self._connect_no_more()
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(timeout_seconds):
                await self._hand_over.done.wait()

    async def _finish(self) -> None:
        # The one before has let go of the dialogs that it has sent.
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(self._drain_seconds):
                await self._take_over.wait()
        await self._passage.finish(self._drain_seconds)
        self.parts.loss_reporter.tell()
        self.parts.sweeper.finish()
        unheard = await self.parts.background.finish(self._drain_seconds)
        if unheard:
            _log.warning("drain.incomplete", dialogs_without_listener=unheard)

    # Between connections

    def _on_connected(self) -> None:
        """Hold back what comes; at the first connect begin to take the dialogs to which it goes."""
        self._gate.close()
        if not self._take_over.is_loaded:
            self._passage.open_within(self._times.gate_seconds)
            self._take_over.begin()

    def _on_lost(self) -> None:
        """Events may be missing since the last one, or since the last answer to a ping."""
        self._missing.note(self._seen_until)
        if self._take_over.is_loaded:
            # What was held back is older than what the next connection finds.
            self._passage.open()

    @property
    def _seen_until(self) -> float:
        """Unix time until which no event can be missing."""
        return max(self.parts.pipeline.last_event_at, time.time() - DEAD_SECONDS)

    async def _recover(self) -> Work:
        """Bring the dialogs up to date, and let events pass once they are, or after a while.

        Returns:
            What is left to do, with no haste.
        """
        # What former connections have sent comes first.
        await self._passage.former_passed()
        self._passage.open_within(self._times.gate_seconds)
        await self._take_over.wait()
        known = self._recovery.known()
        gap = self._missing.gap
        if self._missing.since is None:
            self._passage.open()
            unserved = await self._recovery.look()
            return partial(self._serve, unserved, gap)
        unserved = await self._recovery.run(known, gap)
        self._missing.forget()
        self._passage.open()
        await self._recovery.tell_recovered(self._bus, gap.reason)
        return partial(self._serve, unserved, gap)

    async def _serve(self, unserved: Unserved, gap: Gap) -> None:
        # Their beginning may be among what waits.
        await self._passage.passed()
        await self._recovery.serve_unserved(unserved, gap)

    def _load(self, taken: HandoverSnapshot | None) -> None:
        """Go on with another one's dialogs, if there is one; what has waited for them may pass."""
        self._missing.note(UNKNOWN if taken is None else taken.gap_since)
        if taken is not None:
            self._go_on(taken.records)
        if self.reader.is_connected:
            self._gate.open_for_former()
        else:
            self._passage.open()

    def _go_on(self, taken: Collection[records.Record]) -> None:
        dialogs = self.parts.dialogs
        for dialog, held in records.load(dialogs, taken, time.monotonic()).items():
            self.parts.setup.resume(dialog, held)
        _log.info("hand_over.taken", dialogs=len(dialogs))

    # Somebody else takes the application

    def _on_replaced(self, application: str) -> None:
        """Never fight for it: it would be taken back, for ever."""
        self._hand_over.note_replaced(application)
        if not self._gate.former:  # Those are of a connection that is over.
            self.reader.note_replaced(application)

    async def _collect(self) -> Collected:
        """End everything, and return the dialogs as they are then."""
        asked_at = time.time()
        self._connect_no_more()
        self._passage.open()  # Asterisk's word may wait there.
        if self.reader.is_connected:
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(hand_over.REPLACED_SECONDS):
                    await self.reader.is_replaced.wait()
        if self.reader.is_connected and not self.reader.is_replaced.is_set():
            self.reader.is_last = self._is_ending
            raise HandoverRefusedError(
                "Asterisk has not given the applications to anybody else: are there two ingests "
                f"of different Asterisks that both call theirs {self._server}?"
            )
        self._stop_reading()
        await self._passage.finish(hand_over.PASS_SECONDS)
        self.parts.setup.pause()
        self.parts.sweeper.pause()
        await self.parts.background.finish(hand_over.PAUSE_SECONDS)
        self.parts.loss_reporter.tell()
        try:
            await self._bus.flush(timeout_seconds=hand_over.FLUSH_SECONDS)
        except BusUnavailableError as error:
            # Asterisk has given the applications away all the same; what waits would come too late.
            self._bus.discard(topics.is_events)
            self._hand_over.done.set()
            raise HandoverRefusedError(str(error)) from error
        found = records.records_of(self.parts.dialogs)
        pages = records.pages(found, gap_since=self._missing.since, page_bytes=self._page_bytes)
        return Collected(pages, until=min(asked_at, self._seen_until))
