"""Makes the parts of an active ingest: which one needs which."""

import asyncio
from functools import cached_property

from ari_proxy.ingest.events.canary import EventCanary
from ari_proxy.ingest.events.frame_drain import FrameDrain
from ari_proxy.ingest.events.freed import FreedApplications
from ari_proxy.ingest.events.pipeline import Pipeline
from ari_proxy.ingest.events.replaced import ReplacedApplications
from ari_proxy.ingest.permit import Permit
from ari_proxy.ingest.publishing.background import BackgroundWork
from ari_proxy.ingest.publishing.dialog_ends import DialogEnds
from ari_proxy.ingest.publishing.dialog_stream import DialogStream
from ari_proxy.ingest.publishing.event_metrics import EventMetrics
from ari_proxy.ingest.publishing.loss_ledger import LossLedger
from ari_proxy.ingest.publishing.loss_reporter import LossReporter
from ari_proxy.ingest.queues.parts import QueueParts
from ari_proxy.ingest.recovery.empty_dialogs import EmptyDialogs
from ari_proxy.ingest.recovery.fetch import AsteriskFetch
from ari_proxy.ingest.recovery.recovery import Recovery
from ari_proxy.ingest.recovery.unserved import UnservedChannels
from ari_proxy.ingest.registrations import ObjectRegistrations
from ari_proxy.ingest.routing.dialog_table import DialogTable
from ari_proxy.ingest.routing.router import Router
from ari_proxy.ingest.setup.broadcasts import BroadcastOffers
from ari_proxy.ingest.setup.claims import CallClaims
from ari_proxy.ingest.setup.gate import SetupGate
from ari_proxy.ingest.setup.instruments import DialogInstruments
from ari_proxy.ingest.setup.labels import ChannelLabels
from ari_proxy.ingest.setup.no_listener import NoListener, NoListenerTasks
from ari_proxy.ingest.setup.reassignment import CallReassignment
from ari_proxy.ingest.setup.search import ApplicationSearch, SetupTimes
from ari_proxy.ingest.setup.setup import DialogSetup
from ari_proxy.ingest.setup.strategies import ProbingStrategy, QueueingStrategy, SetupStrategy
from ari_proxy.ingest.setup.watchdog import ApplicationWatchdog
from ari_proxy.protocol.ids import ServerId

from .parts import TIMES, Parts, Surroundings, Times
from .sweeper import Sweeper


def wire(
    around: Surroundings,
    tasks: asyncio.TaskGroup,
    *,
    permit: Permit,
    times: Times = TIMES,
) -> Parts:
    """Make the parts of an active ingest.

    Args:
        around: the parts that outlive them.
        tasks: runs their tasks.
        permit: to publish.
        times: instead of the usual ones.
    """
    return _Wiring(around, BackgroundWork(tasks), permit, times).parts()


class _Wiring:
    """Makes the parts, each once, when another part first needs it."""

    def __init__(
        self,
        around: Surroundings,
        background: BackgroundWork,
        permit: Permit,
        times: Times,
    ) -> None:
        self._around = around
        self._times = times
        self._permit = permit
        self._server = ServerId(around.settings.server_id)
        self._background = background

    @cached_property
    def _dialogs(self) -> DialogTable:
        grace_seconds = self._around.settings.ingest.grace_seconds
        return DialogTable(self._server, grace_seconds=grace_seconds)

    @cached_property
    def _router(self) -> Router:
        dialog_form = self._around.settings.bus.dialog_form
        claims = self._around.settings.ingest.claim
        return Router(self._server, self._dialogs, dialog_form=dialog_form, claims=claims)

    @cached_property
    def _ledger(self) -> LossLedger:
        return LossLedger(self._around.bus, self._dialogs)

    @cached_property
    def _event_metrics(self) -> EventMetrics:
        return EventMetrics(self._server, self._around.metrics)

    @cached_property
    def _ends(self) -> DialogEnds:
        bus, keep_seconds = self._around.bus, self._deadline_seconds
        return DialogEnds(bus, self._stream, self._background, keep_seconds=keep_seconds)

    @cached_property
    def _fetch(self) -> AsteriskFetch:
        return AsteriskFetch(self._around.rest, self._around.settings.applications)

    @cached_property
    def _labels(self) -> ChannelLabels:
        return ChannelLabels(self._around.rest)

    @cached_property
    def _instruments(self) -> DialogInstruments:
        around = self._around
        return DialogInstruments(self._server, around.metrics, around.tap, around.traces)

    @cached_property
    def _replaced(self) -> ReplacedApplications:
        return ReplacedApplications(self._around.settings.applications)

    @property
    def _deadline_seconds(self) -> float | None:
        """For an application to accept a call; None for as long as the call lives."""
        ingest = self._around.settings.ingest
        return None if ingest.no_listener == "keep" else ingest.listener_seconds

    @cached_property
    def _stream(self) -> DialogStream:
        around = self._around
        return DialogStream(
            self._server,
            around.bus,
            losses=self._ledger,
            metrics=self._event_metrics,
            counters=around.counters,
            tap=around.tap,
            held_bytes=around.settings.ingest.held_bytes,
        )

    @cached_property
    def _queues(self) -> QueueParts | None:
        bus, ingest = self._around.bus, self._around.settings.ingest
        if bus.queues is None:
            return None
        return QueueParts(
            bus,
            bus.queues,
            self._dialogs,
            channel_ids=self._fetch.channel_ids,
            deadline_seconds=self._deadline_seconds,
            # No event may come after the queues have gone.
            grace_seconds=max(ingest.queue_grace_seconds, ingest.grace_seconds),
            check_seconds=self._times.queues_seconds,
            orphans_seconds=self._times.orphans_seconds,
        )

    @cached_property
    def _strategy(self) -> SetupStrategy:
        queues = self._around.bus.queues
        if queues is None or self._queues is None:
            return ProbingStrategy(taker_seconds=self._times.taker_seconds)
        return QueueingStrategy(
            queues, self._queues.deadlines, taker_seconds=self._times.taker_seconds
        )

    @cached_property
    def _gate(self) -> SetupGate:
        return SetupGate(self._permit)

    @cached_property
    def _search(self) -> ApplicationSearch:
        ingest = self._around.settings.ingest
        return ApplicationSearch(
            self._server,
            self._around.bus,
            self._gate,
            strategy=self._strategy,
            labels=self._labels,
            instruments=self._instruments,
            times=SetupTimes(
                deadline_seconds=self._deadline_seconds,
                patience_seconds=ingest.listener_seconds,
                resume_seconds=self._times.resume_seconds,
            ),
            asterisk_version=lambda: self._fetch.version,
        )

    @cached_property
    def _setup(self) -> DialogSetup:
        around, search = self._around, self._search
        offers = BroadcastOffers(
            search,
            CallClaims(around.rest),
            dialogs=self._dialogs,
            stream=self._stream,
            ends=self._ends,
            instruments=self._instruments,
            connection=self._replaced,
        )
        no_listener = NoListener(around.rest, around.settings.ingest.no_listener)
        return DialogSetup(
            search,
            self._gate,
            stream=self._stream,
            strategy=self._strategy,
            labels=self._labels,
            broadcasts=offers,
            no_listener=NoListenerTasks(no_listener, self._background),
            background=self._background,
            instruments=self._instruments,
        )

    @cached_property
    def _sweeper(self) -> Sweeper:
        return Sweeper(
            self._dialogs,
            self._ends,
            self._setup,
            labels=self._labels,
            retention=self._queues.retention if self._queues is not None else None,
            background=self._background,
            instruments=self._instruments,
            permit=self._permit,
        )

    @cached_property
    def _canary(self) -> EventCanary:
        settings = self._around.settings
        return EventCanary(
            self._around.rest,
            settings.applications,
            every_seconds=settings.ingest.proof_seconds,
            counters=self._around.counters,
            permit=self._permit,
            silent_seconds=self._times.silent_seconds,
        )

    @cached_property
    def _pipeline(self) -> Pipeline:
        return Pipeline(
            self._router,
            stream=self._stream,
            setup=self._setup,
            metrics=self._event_metrics,
            counters=self._around.counters,
            canary=self._canary,
            replaced=self._replaced,
            permit=self._permit,
        )

    @cached_property
    def _loss_reporter(self) -> LossReporter:
        return LossReporter(
            self._ledger,
            self._around.bus,
            self._dialogs,
            self._stream,
            metrics=self._event_metrics,
            buffer_bytes=self._around.settings.bus.buffer_bytes,
            permit=self._permit,
        )

    @cached_property
    def _reassignment(self) -> CallReassignment:
        return CallReassignment(
            self._around.rest, self._search, self._stream, self._setup, self._gate
        )

    @cached_property
    def _watchdog(self) -> ApplicationWatchdog:
        ingest = self._around.settings.ingest
        return ApplicationWatchdog(
            self._around.bus,
            self._dialogs,
            self._stream,
            self._setup,
            self._reassignment,
            self._background,
            silence_seconds=0.0 if ingest.no_listener == "keep" else ingest.silence_seconds,
        )

    @cached_property
    def _recovery(self) -> Recovery:
        return Recovery(
            self._server,
            self._around.settings.applications,
            self._fetch,
            self._dialogs,
            stream=self._stream,
            setup=self._setup,
            sweeper=self._sweeper,
            metrics=self._around.metrics,
        )

    @cached_property
    def _unserved(self) -> UnservedChannels:
        return UnservedChannels(
            self._server,
            self._around.settings.applications,
            self._fetch,
            self._dialogs.objects,
            self._router,
            stream=self._stream,
            setup=self._setup,
            metrics=self._around.metrics,
            wait_seconds=self._times.unserved_seconds,
        )

    def parts(self) -> Parts:
        bus, settings = self._around.bus, self._around.settings
        return Parts(
            background=self._background,
            dialogs=self._dialogs,
            router=self._router,
            registrations=ObjectRegistrations(bus, self._dialogs),
            ledger=self._ledger,
            stream=self._stream,
            ends=self._ends,
            queues=self._queues,
            labels=self._labels,
            reassignment=self._reassignment,
            setup=self._setup,
            canary=self._canary,
            replaced=self._replaced,
            freed=FreedApplications(
                self._around.rest,
                self._replaced,
                permit=self._permit,
                look_seconds=self._times.freed_seconds,
            ),
            pipeline=self._pipeline,
            frame_drain=FrameDrain(
                self._pipeline.on_frame, bus, buffer_bytes=settings.bus.buffer_bytes
            ),
            sweeper=self._sweeper,
            loss_reporter=self._loss_reporter,
            watchdog=self._watchdog,
            empty_dialogs=EmptyDialogs(
                self._fetch, self._dialogs, look_seconds=self._times.empty_seconds
            ),
            recovery=self._recovery,
            unserved=self._unserved,
        )
