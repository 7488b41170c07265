"""The events of each dialog, in its order: they pass, are held, or are dropped."""

import asyncio
import contextlib
import time
from collections.abc import Callable, Iterable, Sequence
from typing import Final

import msgspec
import structlog

from ari_proxy.bus.base import Bus
from ari_proxy.bus.errors import BusRefusedError, BusUnavailableError
from ari_proxy.ingest.routing import proxy_events
from ari_proxy.ingest.routing.dialog import Dialog
from ari_proxy.ingest.routing.phase import DeliveryPhase
from ari_proxy.ingest.routing.proxy_events import EndReason
from ari_proxy.protocol import topics
from ari_proxy.protocol.ids import DialogId, ServerId
from ari_proxy.protocol.messages import Event, EventEncoder
from ari_proxy.protocol.timestamps import Rfc3339Nano
from ari_proxy.tap.tap import Tap
from ari_proxy.telemetry import metrics_table as table
from ari_proxy.telemetry.metrics import Metrics

from .background import BackgroundWork
from .event_counters import EventCounters
from .loss_ledger import LossLedger

_log = structlog.get_logger()

#: Seconds for a message that may be lost.
_OFFER_SECONDS: Final = 1.0
_OPEN: Final = DeliveryPhase.OPEN


class DialogStream:
    """Publishes the events of one server's dialogs; never waits."""

    def __init__(  # noqa: PLR0913  all that events meet
        self,
        server: ServerId,
        bus: Bus,
        *,
        losses: LossLedger,
        background: BackgroundWork,
        metrics: Metrics,
        counters: EventCounters,
        tap: Tap,
        held_bytes: int,
        keep_seconds: float | None,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        """Make one for an active ingest.

        Args:
            server: whose dialogs they are.
            bus: where events go.
            losses: notes what has to be dropped.
            background: offers what may be lost.
            metrics: counts what is dropped.
            counters: counts what is published.
            tap: copies what passes.
            held_bytes: of a dialog that waits for its application.
            keep_seconds: how long the bus keeps a message for a client that may come; None for
                ever.
            clock: monotonic seconds.
        """
        self._server = server
        self._bus = bus
        self._losses = losses
        self._background = background
        self._metrics = metrics
        self._counters = counters
        self._tap = tap
        self._held_bytes = held_bytes
        self._keep_seconds = keep_seconds
        self._clock = clock
        self._encoder = EventEncoder(server)
        self._decoder = msgspec.json.Decoder(Event)
        self._timestamps = Rfc3339Nano()
        self._server_topic = topics.events(server)

    def publish(self, dialog: Dialog, event_type: str, text: str, timestamp: str) -> None:
        """Publish an event as the dialog's next one, or hold it for the application.

        Args:
            dialog: which; one that is not open yet has to be set up (`set_up.py`).
            event_type: as Asterisk calls it.
            text: the event, JSON.
            timestamp: RFC 3339, when it has come.
        """
        self._counters.published += 1
        sequence = dialog.next_sequence()
        payload = self._encoder.encode(text, event_type, timestamp, dialog.dialog_id, sequence)
        self._pass(dialog, payload)

    def _pass(self, dialog: Dialog, payload: bytes) -> None:
        if dialog.delivery is _OPEN:
            self._bus.publish(dialog.topic, payload)
            if self._tap.is_on:
                self._tap.copy("event", dialog.dialog_id, payload)
        elif dialog.is_abandoned:
            self._drop_unheard(dialog, payload)
        else:
            self._hold(dialog, payload)

    def notify(self, dialog: Dialog, event_type: str, text: str) -> None:
        """Publish an event of our own as the dialog's next one."""
        self.publish(dialog, event_type, text, self._timestamps.format(time.time_ns()))

    def publish_for_server(self, event_type: str, text: str, timestamp: str) -> None:
        """Publish an event that belongs to no dialog."""
        payload = self._encoder.encode(text, event_type, timestamp, "", 0)
        self._bus.publish(self._server_topic, payload)

    def envelope(
        self, event_type: str, text: str, owner: DialogId | str = "", sequence: int = 0
    ) -> bytes:
        """Return an event of our own: of a dialog or the server (''), in its order or not (0)."""
        timestamp = self._timestamps.format(time.time_ns())
        return self._encoder.encode(text, event_type, timestamp, owner, sequence)

    def renumber(self, dialog: Dialog, payloads: Iterable[bytes]) -> None:
        """Publish or hold events again, behind those that another ingest has numbered.

        Args:
            dialog: one that was handed over.
            payloads: its events that were held meanwhile, as this ingest numbered them.
        """
        for payload in payloads:
            event = self._decoder.decode(payload)
            own = event.ari_body, event.type, event.timestamp, dialog.dialog_id
            self._pass(dialog, self._encoder.encode(*own, dialog.next_sequence()))

    # Held, released, dropped

    def _hold(self, dialog: Dialog, payload: bytes) -> None:
        for lost in dialog.hold(payload, self._held_bytes):
            self.count_dropped("held_too_long")
            self._losses.note(dialog.topic, lost, "full")

    def release(self, dialog: Dialog, *, is_first_delivered: bool) -> None:
        """Let a dialog's events pass: the held ones first, and those that come behind them.

        Args:
            dialog: whose application listens.
            is_first_delivered: whether the first one has been the probe, and is there already.
        """
        held = dialog.deliver(self._clock())
        for payload in held[1:] if is_first_delivered else held:
            self._bus.publish(dialog.topic, payload)
        if self._tap.is_on:
            for payload in held:
                self._tap.copy("event", dialog.dialog_id, payload)

    def abandon(self, dialog: Dialog) -> None:
        """Drop the dialog's events: no application serves it."""
        for payload in dialog.abandon():
            self._drop_unheard(dialog, payload)

    def _drop_unheard(self, dialog: Dialog, payload: bytes) -> None:
        self.count_dropped("no_listener")
        self._tap.copy("unheard", dialog.dialog_id, payload)

    def count_dropped(self, reason: str) -> None:
        """Count an event that nobody gets."""
        self._metrics.counter(table.EVENTS_DROPPED, self._server, reason).inc()

    # Ends

    def tell_ended(self, dialog: Dialog, reason: EndReason, channels: Sequence[str] = ()) -> None:
        """Tell a dialog's application that it is over, behind what is held for it.

        Args:
            dialog: one that has ended, and whose end is not told. If events are held it has to be
                set up, as with any event.
            reason: why.
            channels: whose own end nobody has seen.
        """
        dialog.note_end_reported()
        text = proxy_events.dialog_ended(dialog.application, channels, time.time(), reason)
        if dialog.delivery is _OPEN or dialog.held:
            self.notify(dialog, proxy_events.DIALOG_ENDED, text)
        elif dialog.is_known_to_application:
            self._tell_apart(dialog, text)

    def _tell_apart(self, dialog: Dialog, text: str) -> None:
        """Tell the end to a client that may not be there, or not yet: nothing waits for it."""
        sequence = dialog.next_sequence()
        payload = self.envelope(proxy_events.DIALOG_ENDED, text, dialog.dialog_id, sequence)
        has_queue = dialog.is_abandoned or dialog.delivery is DeliveryPhase.ACCEPTED
        if has_queue and self._bus.queues is not None:
            self._bus.publish(dialog.topic, payload)
        else:
            self._background.begin(self._offer(dialog, payload))

    async def _offer(self, dialog: Dialog, payload: bytes) -> None:
        """Send an event of a dialog to whoever listens now."""
        with contextlib.suppress(TimeoutError, BusUnavailableError):
            async with asyncio.timeout(_OFFER_SECONDS):
                try:
                    await self._bus.publish_to_listener(
                        dialog.topic, payload, keep_seconds=self._keep_seconds
                    )
                except BusRefusedError as error:
                    own = {"dialog_id": dialog.dialog_id, "application": dialog.application}
                    _log.error("bus.message_refused", **own, error=str(error))

    def tell_gone(self, dialog_id: DialogId, application: str) -> None:
        """Tell the application of a dialog that is known to nobody else that it is over."""
        now = time.time()
        text = proxy_events.dialog_ended(application, [], now, "channels_gone")
        payload = self.envelope(proxy_events.DIALOG_ENDED, text, dialog_id, int(now * 1e6))
        self._bus.publish(topics.events(dialog_id), payload)
