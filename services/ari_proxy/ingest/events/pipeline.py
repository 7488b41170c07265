"""The event path: frame → dialogs → envelope → bus. One writer, in order; it never waits."""

import time
from typing import Final

import structlog

from ari_proxy.ari import events
from ari_proxy.ari.errors import MalformedEventError
from ari_proxy.ari.events import AriEvent
from ari_proxy.ari.websocket import DEAD_SECONDS
from ari_proxy.ingest.permit import Permit
from ari_proxy.ingest.publishing.dialog_stream import DialogStream
from ari_proxy.ingest.publishing.event_counters import EventCounters
from ari_proxy.ingest.publishing.event_metrics import EventMetrics
from ari_proxy.ingest.routing.phase import DeliveryPhase
from ari_proxy.ingest.routing.router import Router
from ari_proxy.ingest.setup.setup import DialogSetup
from ari_proxy.protocol.timestamps import Rfc3339Nano

from .canary import EventCanary
from .own_events import OWN_TEXTS
from .replaced import ReplacedApplications

_log = structlog.get_logger()

_OPEN: Final = DeliveryPhase.OPEN


class Pipeline:
    """Handles the frames of one server's websocket."""

    def __init__(  # noqa: PLR0913  all that a frame meets
        self,
        router: Router,
        *,
        stream: DialogStream,
        setup: DialogSetup,
        metrics: EventMetrics,
        counters: EventCounters,
        canary: EventCanary,
        replaced: ReplacedApplications,
        permit: Permit,
    ) -> None:
        self._router = router
        self._stream = stream
        self._setup = setup
        self._metrics = metrics
        self._counters = counters
        self._permit = permit
        self._canary = canary
        self._replaced = replaced
        self._timestamps = Rfc3339Nano()
        self._last_event_ns = 0
        self._fenced_since: float | None = None

    @property
    def fenced_since(self) -> float | None:
        """Unix time since which events were dropped for want of the permit; None if none were."""
        return self._fenced_since

    @property
    def complete_until(self) -> float:
        """Unix time until which no event can be missing, though the connection may be dead."""
        return max(self._last_event_ns / 1e9, time.time() - DEAD_SECONDS)

    def on_frame(self, frame: bytes, *, is_former: bool = False) -> None:
        """Route one frame and publish its event; never waits.

        Args:
            frame: as Asterisk has sent it.
            is_former: whether it came on a connection that is over.
        """
        text = frame.decode(errors="replace")
        try:
            event = events.decode(text)
        except MalformedEventError as error:
            self._counters.count_malformed(len(frame))
            self._metrics.count_malformed()
            _log.warning("frame.malformed", error=str(error), bytes=len(frame))
            return
        self._counters.count_received(event.type, len(frame))
        if not self._permit.is_valid():
            self._drop()
        elif not self._is_control(event, text, is_former=is_former):
            self._route(event, text)

    def _drop(self) -> None:
        self._metrics.count_dropped("fenced")
        if self._fenced_since is None:
            self._fenced_since = self._last_event_ns / 1e9

    def _is_control(self, event: AriEvent, text: str, *, is_former: bool) -> bool:
        """Handle an event that concerns the proxy; return whether it concerns nobody else."""
        own = OWN_TEXTS.get(event.type)
        if own is not None and own in text:
            self._canary.on_event(event.application, text)
            return True
        if event.type == "ApplicationReplaced":
            self._replaced.note(event.application, is_former=is_former)
        return False

    def _route(self, event: AriEvent, text: str) -> None:
        dialogs = self._router.route(event, time.monotonic())
        if event.type == "StasisStart" and event.channel is not None:
            for dialog in dialogs:
                self._setup.label(dialog, event.channel.id)
        now = time.time_ns()
        self._last_event_ns = now
        self._counters.count_routed(len(dialogs), now)
        timestamp = self._timestamps.format(now)
        for dialog in dialogs:
            self._stream.publish(dialog, event.type, text, timestamp)
            if dialog.delivery is not _OPEN:
                self._setup.begin(dialog)
        if not dialogs:
            self._metrics.count_unrouted()
            self._stream.publish_for_server(event.type, text, timestamp)
