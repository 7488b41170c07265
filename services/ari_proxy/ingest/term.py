"""One term of office: an ingest is the active one of its server, until it stops or hands over."""

import asyncio
import contextlib
import time
from collections.abc import Callable, Collection
from functools import partial
from typing import Final, Literal

import msgspec
import structlog

from ari_proxy.ari import snapshot
from ari_proxy.ari.errors import TransportError
from ari_proxy.ari.rest import RestClient
from ari_proxy.ari.websocket import DEAD_SECONDS, EventSocket
from ari_proxy.bus.base import Bus, Handler, Subscription
from ari_proxy.bus.errors import BusUnavailableError
from ari_proxy.first_of import first_of
from ari_proxy.protocol import ids, topics
from ari_proxy.protocol.ids import ServerId
from ari_proxy.settings.load import Settings
from ari_proxy.tap.tap import Tap
from ari_proxy.telemetry.metrics import Metrics
from ari_proxy.telemetry.traces import Traces

from . import hand_over, records
from .bindings import Bindings
from .empty_dialogs import EmptyDialogs
from .hand_over import HandOver, RefusedError, Taken
from .listeners import Listeners
from .losses import Losses
from .notices import Gap, GapReason
from .passage import Passage
from .pipeline import Pipeline
from .proof import Proof, is_own
from .queues import DialogQueues
from .reader import Reader, Work
from .records import Page
from .recovery import Recovery
from .router import Router
from .set_up import SetUp
from .tally import Tally

_log = structlog.get_logger()

#: Seconds for which events wait for the recovery of their dialogs; then they go without.
GATE_SECONDS: Final = 5.0

Outcome = Literal["stopped", "handed_over"]


class Term:
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
        tally: Tally,
        tap: Tap,
        traces: Traces,
    ) -> None:
        self._settings = settings
        self._server = ServerId(settings.server_id)
        self._bus = bus
        self._rest = rest
        self._tasks = tasks
        self._is_replaced = asyncio.Event()
        self.router = Router(
            self._server,
            grace_seconds=settings.ingest.grace_seconds,
            dialog_form=settings.bus.dialog_form,
        )
        set_up = self._set_up = SetUp(
            bus,
            rest,
            self._server,
            listener_seconds=settings.ingest.listener_seconds,
            no_listener=settings.ingest.no_listener,
            is_permitted=is_permitted,
        )
        proof = Proof(
            rest,
            settings.applications,
            every_seconds=settings.ingest.proof_seconds,
            received_bytes=lambda: tally.received_bytes,
            is_permitted=is_permitted,
        )
        self.queues = DialogQueues(bus, self.router, set_up, grace_seconds=self._queue_grace)
        buffer_bytes = settings.bus.buffer_bytes
        self._losses = Losses(
            bus, self.router, buffer_bytes=buffer_bytes, is_permitted=is_permitted
        )
        self._pipeline = Pipeline(
            self._server,
            self.router,
            bus,
            set_up=set_up,
            queues=self.queues,
            tasks=tasks,
            metrics=metrics,
            held_bytes=settings.ingest.held_bytes,
            is_permitted=is_permitted,
            on_replaced=self._on_replaced,
            on_own=proof.on_event,
            on_lost=self._losses.note,
            tally=tally,
            tap=tap,
            traces=traces,
        )
        self._passage = Passage(
            self._pipeline.on_frame,
            bus,
            buffer_bytes=buffer_bytes,
            overtakes=is_own,
        )
        self._gate = self._passage.gate
        self.reader = Reader(
            self._server,
            socket,
            proof,
            take=self._gate.take,
            on_connected=self._gate.close,
            recover=self._recover,
            on_lost=self._on_lost,
            metrics=metrics,
        )
        self._recovery = Recovery(
            self._server, settings.applications, rest, self.router, self._pipeline, metrics
        )
        is_kept = settings.ingest.no_listener == "keep"
        silence = 0.0 if is_kept else settings.ingest.silence_seconds
        self._listeners = Listeners(bus, self.router, self._pipeline, silence_seconds=silence)
        self._empty_dialogs = EmptyDialogs(rest, self.router.table)
        self._hand_over = HandOver(bus, self._collect, tasks)
        self._reading: asyncio.Task[None] | None = None
        self._is_ending = False  # There may be a successor at any time.
        self._subscriptions: list[Subscription] = []
        self._is_first = True
        self._drain_seconds = settings.runtime.drain_seconds
        #: By which it asks the one that has been active until now.
        self._name = ids.random_id(ids.TOKEN_LENGTH)
        #: Unix time since which events may be missing; None if none are.
        self._gap_since: float | None = None

    @property
    def _queue_grace(self) -> float:
        """Seconds from a dialog's end until its queues go: no event may come after that."""
        settings = self._settings.ingest
        return max(settings.queue_grace_seconds, settings.grace_seconds)

    async def run(self, stop: asyncio.Event) -> Outcome:
        """Serve until `stop`, then finish the set-ups that have begun; or until handed over."""
        pipeline = self._pipeline
        self._bus.on_dropped = self._losses.note
        bindings = Bindings(self._bus, self.router)
        await self._listen(topics.bindings(self._server), bindings.on_binding)
        await self._listen(topics.owners(self._server), bindings.on_question)
        background = [
            self._tasks.create_task(work)
            for work in (
                self._passage.run(),
                self._losses.run(pipeline),
                pipeline.sweep(),
                self.queues.tidy(pipeline.give_up),
                self.queues.take_over(),
                self.queues.look_after(self._channel_ids, pipeline.tell_end),
                self._listeners.watch(),
                self._empty_dialogs.watch(),
                self.queues.declare(self._settings.applications),
            )
        ]
        self._reading = self._tasks.create_task(self.reader.run(self._bus))
        try:
            await first_of(stop.wait(), self._hand_over.done.wait())
            self._stop_reading()
            if not self._hand_over.done.is_set():
                await self._finish()
                return "stopped"
            return "handed_over"
        finally:
            self._stop_reading()
            self._bus.on_dropped = lambda *_: None
            for task in background:
                task.cancel()
            for subscription in self._subscriptions:
                await subscription.unsubscribe()

    def _stop_reading(self) -> None:
        """Close the connection; asked twice for it, it would do so at once, and not in order."""
        if self._reading is not None and not self._reading.cancelling():
            self._reading.cancel()

    def _connect_no_more(self) -> None:
        """Keep the connection; another one would take from a successor what it has."""
        self.reader.is_last = True
        if not self.reader.is_connected:
            self._stop_reading()

    async def _listen(self, topic: str, handler: Handler) -> None:
        self._subscriptions.append(await self._bus.subscribe(topic, handler))

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
        await self._passage.finish(self._drain_seconds)
        self._losses.tell(self._pipeline)
        self._pipeline.tell_all_ends()
        unheard = await self._pipeline.finish_set_ups(self._drain_seconds)
        if unheard:
            _log.warning("drain.incomplete", dialogs_without_listener=unheard)

    async def _channel_ids(self) -> Collection[str] | None:
        """Return the ids of all channels, or None if Asterisk does not tell."""
        try:
            answer = await self._rest.request("GET", "/channels")
            return snapshot.channels(answer.body)
        except (TransportError, msgspec.DecodeError) as error:
            _log.debug("channels.unknown", error=str(error))
            return None

    # Between connections

    def _on_lost(self) -> None:
        """Events may be missing since the last one, or since the last answer to a ping."""
        # What was held back is older than what the next connection finds.
        self._gate.open()
        if self._gap_since is None:
            alive_at = time.time() - DEAD_SECONDS
            self._gap_since = max(self._pipeline.last_event_at, alive_at)

    async def _recover(self) -> Work:
        """Bring the dialogs up to date, and let events pass once they are, or after a while.

        Returns:
            What is left to do, with no haste.
        """
        # What the former connection has sent comes first.
        await self._passage.passed()
        known = self._recovery.known()
        late = asyncio.get_running_loop().call_later(GATE_SECONDS, self._gate.open)
        reason: GapReason = "websocket_lost"
        try:
            if self._is_first:
                taken = await hand_over.take_over(self._bus, self._server, self._name)
                self._is_first = False
                reason = self._take(taken)
                known = self._recovery.known()
                await self._listen(topics.hand_over(self._server), self._hand_over.on_request)
                if taken is not None and self._gap_since is None:
                    self._gate.open()
                    unserved = await self._recovery.look()
                    return partial(self._serve, unserved, Gap(reason))
            gap = Gap(reason, self._gap_since)
            plan = await self._recovery.run(known, gap)
            self._gap_since = None
            self._gate.open()
            await self._recovery.tell_recovered(self._bus, reason)
            return partial(self._serve, plan.unserved, gap)
        finally:
            late.cancel()

    async def _serve(self, unserved: Collection[str], gap: Gap) -> None:
        # Their beginning may be among what waits.
        await self._passage.passed()
        await self._recovery.serve_unserved(unserved, gap)

    def _take(self, taken: Taken | None) -> GapReason:
        """Go on with another one's dialogs; return why events may be missing, if they are."""
        if taken is None:
            return "ingest_restarted"
        self._gap_since = self._gap_since or taken.gap_since
        for dialog in records.load(self.router.table, taken.records, time.monotonic()):
            if dialog.held is None:
                self.queues.on_announced(dialog)
            elif dialog.held and not dialog.is_abandoned:
                self._pipeline.begin(dialog)
        _log.info("hand_over.taken", dialogs=len(self.router))
        return "websocket_lost"

    # Somebody else takes the application

    def _on_replaced(self, application: str) -> None:
        """Never fight for it: it would be taken back, for ever."""
        loop = asyncio.get_running_loop()
        loop.call_later(hand_over.ASKED_SECONDS, self._tell_replaced, application)
        self.reader.replaced.add(application)
        if self.reader.replaced >= set(self._settings.applications):
            self._is_replaced.set()

    def _tell_replaced(self, application: str) -> None:
        """Alarm of a stranger; a new ingest has asked for the dialogs since Asterisk told of it."""
        if self._hand_over.was_asked:
            _log.info("application.handed_over", application=application)
        else:
            _log.error("application.replaced", application=application)

    async def _collect(self) -> list[Page]:
        """End everything, and return the dialogs as they are then."""
        self._connect_no_more()
        self._gate.open()  # Asterisk's word may wait there.
        if self.reader.is_connected:
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(hand_over.REPLACED_SECONDS):
                    await self._is_replaced.wait()
        if self.reader.is_connected and not self._is_replaced.is_set():
            self.reader.is_last = self._is_ending
            raise RefusedError(
                "Asterisk has not given the applications to anybody else: are there two ingests "
                f"of different Asterisks that both call theirs {self._server}?"
            )
        self._stop_reading()
        await self._passage.finish(hand_over.PASS_SECONDS)
        self._pipeline.pause()
        await self._pipeline.finish_set_ups(hand_over.PAUSE_SECONDS)
        self._losses.tell(self._pipeline)
        try:
            await self._bus.flush(timeout_seconds=hand_over.FLUSH_SECONDS)
        except BusUnavailableError as error:
            # Asterisk has given the applications away all the same; what waits would come too late.
            self._bus.discard(topics.is_events)
            self._hand_over.done.set()
            raise RefusedError(str(error)) from error
        return records.pages(records.records_of(self.router.table), gap_since=self._gap_since)
