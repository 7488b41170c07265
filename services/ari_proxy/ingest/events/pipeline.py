"""The event path: frame → dialogs → envelope → bus. One writer, in order, and it never waits."""

import time
from collections.abc import Callable
from typing import Final

import structlog

from ari_proxy.ari import events
from ari_proxy.ari.errors import MalformedEventError
from ari_proxy.ari.events import AriEvent
from ari_proxy.ari.snapshot import DIALOG_VARIABLE
from ari_proxy.ingest.publishing.dialog_stream import DialogStream
from ari_proxy.ingest.publishing.event_counters import OTHER, EventCounters
from ari_proxy.ingest.routing.phase import DeliveryPhase
from ari_proxy.ingest.routing.router import Router
from ari_proxy.ingest.setup.setup import DialogSetup
from ari_proxy.protocol.ids import ServerId
from ari_proxy.protocol.timestamps import Rfc3339Nano
from ari_proxy.telemetry import metrics_table as table
from ari_proxy.telemetry.metrics import Metrics

from . import canary as proof

_log = structlog.get_logger()

#: In events that we have caused ourselves, by their type, as Asterisk writes it: nobody has asked
#: for them.
_OWN: Final = {
    "ChannelVarset": f'"variable":"{DIALOG_VARIABLE}"',
    "ChannelUserevent": f'"eventname":"{proof.EVENT_NAME}.',
}
_OPEN: Final = DeliveryPhase.OPEN


class Pipeline:
    """Takes the frames of one server's websocket."""

    def __init__(  # noqa: PLR0913  all that a frame meets
        self,
        server: ServerId,
        router: Router,
        *,
        stream: DialogStream,
        setup: DialogSetup,
        metrics: Metrics,
        counters: EventCounters,
        is_permitted: Callable[[], bool] = lambda: True,
        on_replaced: Callable[[str], None] = lambda _: None,
        on_own: Callable[[str, str], None] = lambda *_: None,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._server = server
        self._router = router
        self._stream = stream
        self._setup = setup
        self._metrics = metrics
        self._counters = counters
        self._is_permitted = is_permitted
        self._on_replaced = on_replaced
        self._on_own = on_own
        self._clock = clock
        self._timestamps = Rfc3339Nano()
        self._unrouted = metrics.counter(table.EVENTS_UNROUTED, server)
        self._last_event_ns = 0

    @property
    def last_event_at(self) -> float:
        """Unix time of the last event, 0 if there was none."""
        return self._last_event_ns / 1e9

    def on_frame(self, frame: bytes) -> None:
        """Route one frame and publish its event; never waits."""
        self._counters.received_bytes += len(frame)
        text = frame.decode(errors="replace")
        try:
            event = events.decode(text)
        except MalformedEventError as error:
            self._metrics.counter(table.FRAMES_MALFORMED, self._server).inc()
            _log.warning("frame.malformed", error=str(error), bytes=len(frame))
            return
        received = self._counters.received
        received[event.type if event.type in received else OTHER] += 1
        if not self._is_permitted():
            self._stream.count_dropped("fenced")
        elif not self._is_control(event, text):
            self._route(event, text)

    def _is_control(self, event: AriEvent, text: str) -> bool:
        """Take an event that is for the proxy itself; return whether nobody else gets it."""
        own = _OWN.get(event.type)
        if own is not None and own in text:
            self._on_own(event.application, text)
            return True
        if event.type == "ApplicationReplaced":
            self._on_replaced(event.application)
        return False

    def _route(self, event: AriEvent, text: str) -> None:
        dialogs = self._router.route(event, self._clock())
        if event.type == "StasisStart" and event.channel is not None:
            for dialog in dialogs:
                self._setup.label(dialog, event.channel.id)
        now = time.time_ns()
        self._last_event_ns = self._counters.last_event_ns = now
        timestamp = self._timestamps.format(now)
        for dialog in dialogs:
            self._stream.publish(dialog, event.type, text, timestamp)
            if dialog.delivery is not _OPEN:
                self._setup.begin(dialog)
        if not dialogs:
            self._unrouted.inc()
            self._stream.publish_for_server(event.type, text, timestamp)
