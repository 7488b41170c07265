"""Set-up of a dialog: announce it, hand over its first events once somebody has subscribed.

No sleeps that hope: the bus tells whether anybody listens. AppStart goes out until an instance
takes it; then the first event, itself the probe, goes out until somebody has subscribed to it.
Nothing is sent twice, since a message that nobody listens to reaches nobody.

A bus that keeps messages gets the dialog's queues first, and all events as soon as AppStart is out:
they wait there. Whether the application ever came for them is looked at when the time is over.

Before anything goes out the channel gets the dialog's id as its variable: whoever takes over from
this process finds the dialog there, and does not announce it again.
"""

import asyncio
import contextlib
import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from typing import Final

import structlog
from opentelemetry.trace import INVALID_SPAN, Span, SpanKind

from ari_proxy.bus.base import Bus, Receipt
from ari_proxy.ingest.publishing.background import BackgroundWork
from ari_proxy.ingest.publishing.dialog_stream import DialogStream
from ari_proxy.ingest.queues.retention import QueueRetention
from ari_proxy.ingest.routing import phase
from ari_proxy.ingest.routing.dialog import Dialog
from ari_proxy.ingest.routing.phase import DeliveryPhase, DeliveryTrigger
from ari_proxy.protocol.ids import ServerId
from ari_proxy.tap.tap import Tap
from ari_proxy.telemetry import metrics as table
from ari_proxy.telemetry.metrics import Metrics
from ari_proxy.telemetry.traces import Traces, failed, traceparent_of

from .announcement import Announcement, DialogOverError
from .dialplan_status import dialplan_status
from .labels import ChannelLabels
from .no_listener import NoListener
from .offering import TAKER_SECONDS

_log = structlog.get_logger()

#: Seconds for the application of a dialog that was taken over to show that it listens; longer than
#: a client needs to come back to its bus.
RESUME_SECONDS: Final = 5.0


class SetUpPausedError(Exception):
    """Another ingest goes on with the dialog."""


class DialogSetup:
    """Sets up the dialogs of one server."""

    def __init__(  # noqa: PLR0913  all that a new dialog meets
        self,
        server: ServerId,
        bus: Bus,
        *,
        stream: DialogStream,
        labels: ChannelLabels,
        no_listener: NoListener,
        retention: QueueRetention,
        background: BackgroundWork,
        metrics: Metrics,
        tap: Tap,
        traces: Traces,
        deadline_seconds: float | None,
        patience_seconds: float,
        resume_seconds: float = RESUME_SECONDS,
        taker_seconds: float = TAKER_SECONDS,
        is_permitted: Callable[[], bool] = lambda: True,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        """Make one for an active ingest.

        Args:
            server: whose dialogs they are.
            bus: where applications are.
            stream: lets a dialog's events pass.
            labels: write the dialog's id onto its channels.
            no_listener: applied to calls that no application serves.
            retention: of their queues, looked after from then on.
            background: where set-ups run.
            metrics: counts them.
            tap: copies AppStarts.
            traces: has a span for each AppStart.
            deadline_seconds: for an application to come, or None if there is no end to it.
            patience_seconds: … for a call that is over, if there is none.
            resume_seconds: for the application of an adopted dialog to show that it listens.
            taker_seconds: for who takes an AppStart to subscribe, before it goes out again.
            is_permitted: returns whether we may publish now.
            clock: monotonic seconds.
        """
        self._server = server
        self._bus = bus
        self._stream = stream
        self._labels = labels
        self._no_listener = no_listener
        self._retention = retention
        self._background = background
        self._metrics = metrics
        self._tap = tap
        self._traces = traces
        self._deadline_seconds = deadline_seconds
        self._patience_seconds = patience_seconds
        self._resume_seconds = resume_seconds
        self._taker_seconds = taker_seconds
        self._is_permitted = is_permitted
        self._clock = clock
        self._running: dict[Dialog, asyncio.Task[None]] = {}
        self._is_paused = False

    def pause(self) -> None:
        """End all set-ups after the attempt under way, so that others can go on with them."""
        self._is_paused = True

    def begin(self, dialog: Dialog) -> None:
        """Begin the set-up of a dialog whose events are held, unless it is under way."""
        if dialog.held and dialog.delivery in phase.TO_SET_UP and dialog not in self._running:
            self._running[dialog] = self._background.begin(self._run(dialog))

    def resume(self, dialog: Dialog, held: Iterable[bytes]) -> None:
        """Continue with a dialog that another ingest has handed over, in the phase it had there.

        A set-up that began here meanwhile is cancelled: its phase and its events were those of a
        dialog that nobody knew.

        Args:
            dialog: in the state that was handed over.
            held: the events that were held here before that.
        """
        running = self._running.pop(dialog, None)
        if running is not None:
            running.cancel()
        self._stream.renumber(dialog, held)
        if dialog.delivery is DeliveryPhase.OPEN:
            self._retention.on_announced(dialog)
        else:
            self.begin(dialog)

    def label(self, dialog: Dialog, channel: str) -> None:
        """Label a channel that has entered Stasis, unless the set-up that begins now does it."""
        if dialog.delivery in phase.BEFORE_OPEN and dialog not in self._running:
            return
        self._background.begin(self._labels.label(dialog, channel))

    def give_up(self, dialog: Dialog) -> None:
        """Abandon a dialog whose application has gone, and apply the no-listener policy."""
        if dialog.is_abandoned:
            return
        self._count(dialog, "no_listener")
        self._stream.abandon(dialog)
        self._background.begin(self._no_listener.apply(dialog))

    def _check(self) -> None:
        if self._is_paused or not self._is_permitted():
            raise SetUpPausedError

    def _count(self, dialog: Dialog, result: str) -> None:
        self._metrics.counter(table.APP_STARTS, self._server, dialog.application, result).inc()

    async def _run(self, dialog: Dialog) -> None:
        began_at = self._clock()
        announcement = Announcement(
            self._server,
            self._bus,
            dialog,
            self._check,
            patience_seconds=self._patience_seconds,
        )
        try:
            if dialog.delivery is not DeliveryPhase.ADOPTED:
                is_served = await self._set_up(announcement)
            elif await self._is_served(announcement):
                is_served = True
            else:
                dialog.announce_again()
                is_served = await self._announce(announcement)
            if is_served:
                self._open(announcement, began_at)
        except SetUpPausedError:
            pass
        except Exception:  # noqa: BLE001  a fault of ours in one call must not end all others
            _log.exception("dialog.set_up_failed", dialog_id=dialog.dialog_id)
            self.give_up(dialog)
        finally:
            if self._running.get(dialog) is asyncio.current_task():
                del self._running[dialog]

    async def _set_up(self, announcement: Announcement) -> bool:
        dialog = announcement.dialog
        if dialog.delivery is DeliveryPhase.OFFERED:
            _log.info("dialog.started", dialog_id=dialog.dialog_id, application=dialog.application)
            labels = self._server, dialog.application
            self._metrics.counter(table.DIALOGS_STARTED, *labels).inc()
        return await self._announce(announcement)

    # A new dialog

    async def _announce(self, announcement: Announcement) -> bool:
        """Announce a dialog; abandon it and return False if no application wants it in time."""
        dialog = announcement.dialog
        with self._span(announcement) as span:
            try:
                async with asyncio.timeout(self._deadline_seconds) as life:
                    await self._until_accepted(announcement, life.when())
            except (TimeoutError, DialogOverError):
                failed(span, "no_listener")
                if dialog.is_call:
                    self._count(dialog, "no_listener")
                self._stream.abandon(dialog)
                status = dialplan_status(self._bus.problem, is_refused=announcement.is_refused)
                self._background.begin(self._no_listener.apply(dialog, status=status))
                return False
        self._count(dialog, "accepted")
        return True

    async def _until_accepted(self, announcement: Announcement, until: float | None) -> None:
        dialog, offered = announcement.dialog, Receipt()
        for name in tuple(dialog.channels):
            await self._labels.label(dialog, name)
        if self._bus.queues is not None:
            await announcement.declare(self._bus.queues, is_new=True)
        if dialog.announce and dialog.delivery is DeliveryPhase.OFFERED:
            offered = await announcement.offer(until)
            dialog.advance(DeliveryTrigger.ACCEPTED)
        if self._bus.queues is None:
            await announcement.deliver_first(offered, taker_seconds=self._taker_seconds)

    @contextmanager
    def _span(self, announcement: Announcement) -> Iterator[Span]:
        """Trace the AppStart, if there is one and traces are on."""
        dialog = announcement.dialog
        if not (self._traces.is_on and dialog.announce):
            yield INVALID_SPAN
            return
        span = self._traces.begin(
            f"AppStart {dialog.application}",
            SpanKind.PRODUCER,
            messaging__destination__name=dialog.application,
            messaging__operation__type="send",
            ari_proxy__dialog_id=dialog.dialog_id,
            asterisk__channel_id=dialog.channel_id,
        )
        announcement.traceparent = traceparent_of(span)
        try:
            yield span
        finally:
            span.end()

    def _open(self, announcement: Announcement, began_at: float) -> None:
        """Let the events pass."""
        dialog = announcement.dialog
        if announcement.announced_at_ns and self._tap.is_on:
            self._tap.copy("app_start", dialog.dialog_id, announcement.app_start)
        self._stream.release(dialog, is_first_delivered=self._bus.queues is None)
        elapsed = self._clock() - began_at
        self._metrics.histogram(table.SET_UP_SECONDS, self._server).observe(elapsed)
        self._retention.on_announced(dialog)

    # A dialog that another process has begun

    async def _is_served(self, announcement: Announcement) -> bool:
        """Return whether the application of an adopted dialog listens.

        The first held event is the probe. Who took the dialog's AppStart listens, or comes back to
        the bus within a few seconds.
        """
        while True:
            await self._bus.wait_connected()
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(self._resume_seconds):
                    if self._bus.queues is not None:
                        await announcement.declare(self._bus.queues, is_new=False)
                    await announcement.wait_heard()
                    return True
            if self._bus.is_connected:
                return False
