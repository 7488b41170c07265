"""One term of office: an ingest is the active one of its server, until it stops or hands over."""

import asyncio
import contextlib
import time
from collections.abc import Callable, Collection
from typing import Final, Literal

import msgspec
import structlog

from ari_proxy.ari import snapshot
from ari_proxy.ari.errors import TransportError
from ari_proxy.ari.rest import RestClient
from ari_proxy.ari.websocket import DEAD_SECONDS, EventSocket, frames
from ari_proxy.bus.base import Bus, Handler, Subscription
from ari_proxy.bus.errors import BusRefusedError, BusUnavailableError
from ari_proxy.protocol import ids, topics
from ari_proxy.protocol.ids import ServerId
from ari_proxy.settings.load import Settings
from ari_proxy.telemetry import metrics as table
from ari_proxy.telemetry.metrics import Metrics

from . import hand_over, records
from .gate import Gate
from .hand_over import HandOver, RefusedError, Taken
from .listeners import Listeners
from .notices import Gap, GapReason
from .pipeline import Pipeline
from .queues import DialogQueues
from .records import Page
from .recovery import Recovery
from .router import Router
from .set_up import SetUp

_log = structlog.get_logger()

#: Seconds for which events wait for the recovery of their dialogs; then they go without.
GATE_SECONDS: Final = 5.0
#: Bytes of them; more is a flood, and the dialogs of new calls come first.
GATE_BYTES: Final = 64 * 1024 * 1024

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
    ) -> None:
        self._settings = settings
        self._server = ServerId(settings.server_id)
        self._bus = bus
        self._rest = rest
        self._socket = socket
        self._metrics = metrics
        self._tasks = tasks
        self.is_connected = False
        self.replaced: set[str] = set()
        self._is_replaced = asyncio.Event()
        self.router = Router(self._server, grace_seconds=settings.ingest.grace_seconds)
        set_up = self._set_up = SetUp(
            bus,
            rest,
            self._server,
            listener_seconds=settings.ingest.listener_seconds,
            no_listener=settings.ingest.no_listener,
            is_permitted=is_permitted,
        )
        self.queues = DialogQueues(bus, self.router, set_up, grace_seconds=self._queue_grace)
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
        )
        self._gate = Gate(self._pipeline.on_frame, capacity_bytes=GATE_BYTES)
        self._recovery = Recovery(
            self._server, settings.applications, rest, self.router, self._pipeline, metrics
        )
        is_kept = settings.ingest.no_listener == "keep"
        silence = 0.0 if is_kept else settings.ingest.silence_seconds
        self._listeners = Listeners(bus, self.router, self._pipeline, silence_seconds=silence)
        self._hand_over = HandOver(bus, self._collect, tasks)
        self._reading: asyncio.Task[None] | None = None
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
        await self._listen(topics.bindings(self._server), pipeline.on_binding)
        await self._listen(topics.owners(self._server), pipeline.on_question)
        background = [
            self._tasks.create_task(work)
            for work in (
                pipeline.sweep(),
                self.queues.tidy(pipeline.give_up),
                self.queues.take_over(),
                self.queues.look_after(self._channel_ids, pipeline.tell_end),
                self._listeners.watch(),
                self._declare_applications(),
            )
        ]
        self._reading = self._tasks.create_task(self._read())
        try:
            await _first(stop, self._hand_over.done)
            self._reading.cancel()
            if not self._hand_over.done.is_set():
                await self._finish()
                return "stopped"
            return "handed_over"
        finally:
            for task in (self._reading, *background):
                task.cancel()
            for subscription in self._subscriptions:
                await subscription.unsubscribe()

    async def _listen(self, topic: str, handler: Handler) -> None:
        self._subscriptions.append(await self._bus.subscribe(topic, handler))

    def abort(self) -> None:
        """Finish nothing when it is over: somebody else may have begun to serve."""
        self._drain_seconds = 0.0

    async def wait_handed_over(self, timeout_seconds: float) -> None:
        """Give a successor some time to ask for the dialogs."""
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(timeout_seconds):
                await self._hand_over.done.wait()

    async def _finish(self) -> None:
        self._gate.open()
        unheard = await self._pipeline.finish_set_ups(self._drain_seconds)
        if unheard:
            _log.warning("drain.incomplete", dialogs_without_listener=unheard)

    async def _declare_applications(self) -> None:
        """Bring the applications' queues into being: whether they have consumers is looked at."""
        for application in self._settings.applications:
            try:
                await self._bus.declare([application])
            except BusUnavailableError:
                continue  # Whoever serves it declares it as well.
            except BusRefusedError as error:
                _log.warning("application.queue_refused", application=application, error=str(error))

    async def _channel_ids(self) -> Collection[str] | None:
        """Return the ids of all channels, or None if Asterisk does not tell."""
        try:
            answer = await self._rest.request("GET", "/channels")
            return snapshot.channels(answer.body)
        except (TransportError, msgspec.DecodeError) as error:
            _log.debug("channels.unknown", error=str(error))
            return None

    # Events

    async def _read(self) -> None:
        # Without a bus it could serve no call, and would take them from one that can.
        await self._bus.wait_connected()
        connects = self._metrics.counter(table.WEBSOCKET_CONNECTS, self._server)
        async for connection in self._socket.connections():
            connects.inc()
            self.is_connected = True
            self.replaced.clear()
            self._gate.close()
            _log.info("websocket.connected", applications=self._settings.applications)
            recovering = self._tasks.create_task(self._recover())
            try:
                async for frame in frames(connection):
                    self._gate.take(frame)
            finally:
                self.is_connected = False
                recovering.cancel()
            # What was held back is older than what the next connection finds.
            self._gate.open()
            self._note_gap()
            _log.warning("websocket.disconnected", code=connection.close_code)

    def _note_gap(self) -> None:
        """Events may be missing since the last one, or since the last answer to a ping."""
        if self._gap_since is None:
            alive_at = time.time() - DEAD_SECONDS
            self._gap_since = max(self._pipeline.last_event_at, alive_at)

    async def _recover(self) -> None:
        """Bring the dialogs up to date, and let events pass once they are, or after a while."""
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
                    await self._recovery.serve_unserved(unserved, Gap(reason))
                    return
            gap = Gap(reason, self._gap_since)
            plan = await self._recovery.run(known, gap)
            self._gap_since = None
            self._gate.open()
            await self._recovery.tell_recovered(self._bus, reason)
            await self._recovery.serve_unserved(plan.unserved, gap)
        finally:
            late.cancel()

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
        _log.error("application.replaced", application=application)
        self.replaced.add(application)
        if self.replaced >= set(self._settings.applications):
            self._is_replaced.set()

    async def _collect(self) -> list[Page]:
        """End everything, and return the dialogs as they are then."""
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(hand_over.REPLACED_SECONDS):
                await self._is_replaced.wait()
        self._gate.open()  # Asterisk's word may wait there.
        if self.is_connected and not self._is_replaced.is_set():
            raise RefusedError(
                "Asterisk has not given the applications to anybody else: are there two ingests "
                f"of different Asterisks that both call theirs {self._server}?"
            )
        if self._reading is not None:
            self._reading.cancel()
        self._set_up.pause()
        await self._pipeline.finish_set_ups(hand_over.PAUSE_SECONDS)
        try:
            await self._bus.flush(timeout_seconds=hand_over.FLUSH_SECONDS)
        except BusUnavailableError as error:
            # Asterisk has given the applications away all the same; what waits would come too late.
            self._bus.discard(topics.is_events)
            self._hand_over.done.set()
            raise RefusedError(str(error)) from error
        return records.pages(records.records_of(self.router.table), gap_since=self._gap_since)


async def _first(*events: asyncio.Event) -> None:
    """Return once one of them is set."""
    async with asyncio.TaskGroup() as tasks:
        waiting = [tasks.create_task(event.wait()) for event in events]
        await asyncio.wait(waiting, return_when=asyncio.FIRST_COMPLETED)
        for task in waiting:
            task.cancel()
