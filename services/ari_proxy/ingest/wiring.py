"""The parts of an active ingest, and their dependencies on one another."""

import asyncio
from collections.abc import Callable, Collection, Coroutine, Sequence
from dataclasses import dataclass, field
from typing import Final

from ari_proxy.ari.rest import RestClient
from ari_proxy.bus.base import Bus
from ari_proxy.ingest.events.canary import SILENT_SECONDS, EventCanary, is_own
from ari_proxy.ingest.events.frame_drain import FrameDrain
from ari_proxy.ingest.events.pipeline import Pipeline
from ari_proxy.ingest.events.replaced import ReplacedApplications
from ari_proxy.ingest.handover.giver import SILENCE_SECONDS
from ari_proxy.ingest.publishing.background import BackgroundWork
from ari_proxy.ingest.publishing.dialog_stream import DialogStream
from ari_proxy.ingest.publishing.event_counters import EventCounters
from ari_proxy.ingest.publishing.loss_ledger import LossLedger
from ari_proxy.ingest.publishing.loss_reporter import LossReporter
from ari_proxy.ingest.queues.backlog import CHECK_SECONDS
from ari_proxy.ingest.queues.orphan_watch import CHECK_SECONDS as ORPHANS_SECONDS
from ari_proxy.ingest.queues.parts import QueueParts
from ari_proxy.ingest.recovery.empty_dialogs import LOOK_SECONDS as EMPTY_SECONDS
from ari_proxy.ingest.recovery.empty_dialogs import EmptyDialogs
from ari_proxy.ingest.recovery.fetch import AsteriskFetch
from ari_proxy.ingest.recovery.recovery import Recovery
from ari_proxy.ingest.recovery.unserved import UNSERVED_SECONDS, UnservedChannels
from ari_proxy.ingest.registrations import ObjectRegistrations
from ari_proxy.ingest.routing.dialog_table import DialogTable
from ari_proxy.ingest.routing.router import Router
from ari_proxy.ingest.setup.instruments import SetupInstruments
from ari_proxy.ingest.setup.labels import ChannelLabels
from ari_proxy.ingest.setup.no_listener import NoListener
from ari_proxy.ingest.setup.offering import TAKER_SECONDS
from ari_proxy.ingest.setup.setup import RESUME_SECONDS, DialogSetup, SetupTimes
from ari_proxy.ingest.setup.strategies import ProbingStrategy, QueueingStrategy, SetupStrategy
from ari_proxy.ingest.setup.watchdog import ApplicationWatchdog
from ari_proxy.protocol.ids import ServerId
from ari_proxy.settings.load import Settings
from ari_proxy.tap.tap import Tap
from ari_proxy.telemetry.metrics import Metrics
from ari_proxy.telemetry.traces import Traces

from .sweeper import Sweeper


@dataclass(frozen=True, slots=True, kw_only=True)
class Surroundings:
    """The parts that outlive an active period."""

    settings: Settings
    bus: Bus
    rest: RestClient
    metrics: Metrics
    counters: EventCounters = field(default_factory=EventCounters)
    tap: Tap
    traces: Traces


@dataclass(frozen=True, slots=True, kw_only=True)
class Times:
    """Durations of an active period that are no settings; tests wait less."""

    #: For the application of an adopted dialog to show that it listens.
    resume_seconds: float = RESUME_SECONDS
    #: For an instance that accepts an AppStart to subscribe, before it is offered again.
    taker_seconds: float = TAKER_SECONDS
    #: For the StasisStart of a channel that Asterisk has listed.
    unserved_seconds: float = UNSERVED_SECONDS
    #: For the recovery of dialogs, while frames are held; then they pass all the same.
    hold_seconds: float = 5.0
    #: Without a request, after which a successor counts as dead.
    successor_seconds: float = SILENCE_SECONDS
    #: Without any frame, after which a connection with a pending canary is silent.
    silent_seconds: float = SILENT_SECONDS
    #: Between two checks of the dialogs' queues.
    queues_seconds: float = CHECK_SECONDS
    #: Between two requests for the channels of orphaned dialogs.
    orphans_seconds: float = ORPHANS_SECONDS
    #: Between checks of dialogs that wait for a channel.
    empty_seconds: float = EMPTY_SECONDS


@dataclass(frozen=True, slots=True, kw_only=True)
class Parts:
    """The parts of one active period, those below first."""

    background: BackgroundWork
    dialogs: DialogTable
    router: Router
    registrations: ObjectRegistrations
    ledger: LossLedger
    stream: DialogStream
    queues: QueueParts | None
    labels: ChannelLabels
    setup: DialogSetup
    canary: EventCanary
    replaced: ReplacedApplications
    pipeline: Pipeline
    frame_drain: FrameDrain
    sweeper: Sweeper
    loss_reporter: LossReporter
    watchdog: ApplicationWatchdog
    empty_dialogs: EmptyDialogs
    fetch: AsteriskFetch
    recovery: Recovery
    unserved: UnservedChannels

    def queue_work(self, applications: Collection[str]) -> Sequence[Coroutine[None, None, None]]:
        """Return the work for durable queues, one coroutine each; none without them."""
        if self.queues is None:
            return ()
        return self.queues.work(
            applications,
            give_up=self.setup.give_up,
            channel_ids=self.fetch.channel_ids,
            report_end=self.stream.publish_orphan_end,
        )


#: The usual ones.
TIMES: Final = Times()


def wire(
    around: Surroundings,
    tasks: asyncio.TaskGroup,
    *,
    is_permitted: Callable[[], bool],
    times: Times = TIMES,
) -> Parts:
    """Make the parts of an active ingest.

    Args:
        around: the parts that outlive them.
        tasks: runs their tasks.
        is_permitted: returns whether this ingest may publish: no other one is active.
        times: instead of the usual ones.
    """
    settings, bus, rest, metrics = around.settings, around.bus, around.rest, around.metrics
    counters, tap, ingest = around.counters, around.tap, settings.ingest
    server = ServerId(settings.server_id)
    is_kept = ingest.no_listener == "keep"
    deadline_seconds = None if is_kept else ingest.listener_seconds
    background = BackgroundWork(tasks)
    dialogs = DialogTable(server, grace_seconds=ingest.grace_seconds)
    router = Router(server, dialogs, dialog_form=settings.bus.dialog_form)
    ledger = LossLedger(bus, dialogs)
    stream = DialogStream(
        server,
        bus,
        losses=ledger,
        background=background,
        metrics=metrics,
        counters=counters,
        tap=tap,
        held_bytes=ingest.held_bytes,
        keep_seconds=deadline_seconds,
    )
    queues = None
    strategy: SetupStrategy = ProbingStrategy(taker_seconds=times.taker_seconds)
    if bus.queues is not None:
        queues = QueueParts(
            bus,
            bus.queues,
            dialogs,
            deadline_seconds=deadline_seconds,
            # No event may come after the queues have gone.
            grace_seconds=max(ingest.queue_grace_seconds, ingest.grace_seconds),
            check_seconds=times.queues_seconds,
            orphans_seconds=times.orphans_seconds,
        )
        strategy = QueueingStrategy(bus.queues, queues.deadlines)
    labels = ChannelLabels(rest)
    setup = DialogSetup(
        server,
        bus,
        stream=stream,
        strategy=strategy,
        labels=labels,
        no_listener=NoListener(rest, ingest.no_listener),
        background=background,
        instruments=SetupInstruments(server, metrics, tap, around.traces),
        times=SetupTimes(
            deadline_seconds=deadline_seconds,
            patience_seconds=ingest.listener_seconds,
            resume_seconds=times.resume_seconds,
        ),
        is_permitted=is_permitted,
    )
    replaced = ReplacedApplications(settings.applications)
    canary = EventCanary(
        rest,
        settings.applications,
        every_seconds=ingest.proof_seconds,
        received_bytes=lambda: counters.received_bytes,
        is_permitted=is_permitted,
        silent_seconds=times.silent_seconds,
    )
    pipeline = Pipeline(
        server,
        router,
        stream=stream,
        setup=setup,
        metrics=metrics,
        counters=counters,
        canary=canary,
        replaced=replaced,
        is_permitted=is_permitted,
    )
    sweeper = Sweeper(
        server,
        dialogs,
        stream,
        setup,
        labels=labels,
        retention=queues.retention if queues is not None else None,
        background=background,
        metrics=metrics,
        tap=tap,
        is_permitted=is_permitted,
    )
    fetch = AsteriskFetch(rest)
    return Parts(
        background=background,
        dialogs=dialogs,
        router=router,
        registrations=ObjectRegistrations(bus, dialogs),
        ledger=ledger,
        stream=stream,
        queues=queues,
        labels=labels,
        setup=setup,
        canary=canary,
        replaced=replaced,
        pipeline=pipeline,
        frame_drain=FrameDrain(
            pipeline.on_frame, bus, buffer_bytes=settings.bus.buffer_bytes, overtakes=is_own
        ),
        sweeper=sweeper,
        loss_reporter=LossReporter(
            ledger,
            bus,
            dialogs,
            stream,
            buffer_bytes=settings.bus.buffer_bytes,
            is_permitted=is_permitted,
        ),
        watchdog=ApplicationWatchdog(
            bus,
            dialogs,
            stream,
            setup,
            silence_seconds=0.0 if is_kept else ingest.silence_seconds,
        ),
        empty_dialogs=EmptyDialogs(fetch, dialogs, look_seconds=times.empty_seconds),
        fetch=fetch,
        recovery=Recovery(
            server,
            settings.applications,
            fetch,
            dialogs,
            stream=stream,
            setup=setup,
            sweeper=sweeper,
            metrics=metrics,
        ),
        unserved=UnservedChannels(
            server,
            settings.applications,
            fetch,
            dialogs.objects,
            router,
            stream=stream,
            setup=setup,
            metrics=metrics,
            wait_seconds=times.unserved_seconds,
        ),
    )
