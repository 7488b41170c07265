"""The parts of an active ingest, what they need from outside, and their durations."""

from collections.abc import Collection, Coroutine, Sequence
from dataclasses import dataclass, field
from typing import Final

from ari_proxy.ari.client import AriClient
from ari_proxy.bus.base import Bus
from ari_proxy.ingest.events.canary import SILENT_SECONDS, EventCanary
from ari_proxy.ingest.events.frame_drain import FrameDrain
from ari_proxy.ingest.events.freed import LOOK_SECONDS as FREED_SECONDS
from ari_proxy.ingest.events.freed import FreedApplications
from ari_proxy.ingest.events.pipeline import Pipeline
from ari_proxy.ingest.events.replaced import ReplacedApplications
from ari_proxy.ingest.handover.giver import SILENCE_SECONDS
from ari_proxy.ingest.publishing.background import BackgroundWork
from ari_proxy.ingest.publishing.dialog_ends import DialogEnds
from ari_proxy.ingest.publishing.dialog_stream import DialogStream
from ari_proxy.ingest.publishing.event_counters import EventCounters
from ari_proxy.ingest.publishing.loss_ledger import LossLedger
from ari_proxy.ingest.publishing.loss_reporter import LossReporter
from ari_proxy.ingest.queues.backlog import CHECK_SECONDS
from ari_proxy.ingest.queues.orphan_watch import CHECK_SECONDS as ORPHANS_SECONDS
from ari_proxy.ingest.queues.parts import QueueParts
from ari_proxy.ingest.recovery.empty_dialogs import LOOK_SECONDS as EMPTY_SECONDS
from ari_proxy.ingest.recovery.empty_dialogs import EmptyDialogs
from ari_proxy.ingest.recovery.recovery import Recovery
from ari_proxy.ingest.recovery.unserved import UNSERVED_SECONDS, UnservedChannels
from ari_proxy.ingest.registrations import ObjectRegistrations
from ari_proxy.ingest.routing.dialog_table import DialogTable
from ari_proxy.ingest.routing.router import Router
from ari_proxy.ingest.setup.labels import ChannelLabels
from ari_proxy.ingest.setup.offering import TAKER_SECONDS
from ari_proxy.ingest.setup.reassignment import CallReassignment
from ari_proxy.ingest.setup.search import RESUME_SECONDS
from ari_proxy.ingest.setup.setup import DialogSetup
from ari_proxy.ingest.setup.watchdog import ApplicationWatchdog
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
    rest: AriClient
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
    #: For another ingest to go on with the dialogs of a final one (`ingest.final`).
    final_seconds: float = 10.0
    #: For a successor's first canary, before it asks for the dialogs.
    first_canary_seconds: float = 0.5
    #: Without any frame, after which a connection with a pending canary is silent.
    silent_seconds: float = SILENT_SECONDS
    #: Between two looks at an application that another client has taken.
    freed_seconds: float = FREED_SECONDS
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
    ends: DialogEnds
    queues: QueueParts | None
    labels: ChannelLabels
    reassignment: CallReassignment
    setup: DialogSetup
    canary: EventCanary
    replaced: ReplacedApplications
    freed: FreedApplications
    pipeline: Pipeline
    frame_drain: FrameDrain
    sweeper: Sweeper
    loss_reporter: LossReporter
    watchdog: ApplicationWatchdog
    empty_dialogs: EmptyDialogs
    recovery: Recovery
    unserved: UnservedChannels

    def queue_work(self, applications: Collection[str]) -> Sequence[Coroutine[None, None, None]]:
        """Return the work for durable queues, one coroutine each; none without them."""
        if self.queues is None:
            return ()
        return (
            *self.queues.work(applications),
            self.watchdog.give_up_unheard(self.queues.backlog),
            self.sweeper.report_orphans(self.queues.orphan_watch),
        )


#: The usual ones.
TIMES: Final = Times()
