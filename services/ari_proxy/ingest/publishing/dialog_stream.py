"""The events of each dialog, in order: they are published, held or dropped."""

import time
from collections.abc import Iterable
from typing import Final

import msgspec
import structlog

from ari_proxy.bus.base import Bus
from ari_proxy.ingest.routing.dialog import Dialog
from ari_proxy.ingest.routing.phase import DeliveryPhase
from ari_proxy.protocol import topics
from ari_proxy.protocol.ids import DialogId, ServerId
from ari_proxy.protocol.messages import Event, EventEncoder
from ari_proxy.protocol.timestamps import Rfc3339Nano
from ari_proxy.tap.tap import Tap

from .event_counters import EventCounters
from .event_metrics import EventMetrics
from .loss_ledger import LossLedger

_log = structlog.get_logger()

_OPEN: Final = DeliveryPhase.OPEN


class DialogStream:
    """Publishes the events of one server's dialogs; never waits."""

    def __init__(  # noqa: PLR0913  everything that an event meets
        self,
        server: ServerId,
        bus: Bus,
        *,
        losses: LossLedger,
        metrics: EventMetrics,
        counters: EventCounters,
        tap: Tap,
        held_bytes: int,
    ) -> None:
        """Initialise for an active ingest.

        Args:
            server: of the dialogs.
            bus: publishes the events.
            losses: records events that are dropped from a full dialog.
            metrics: counts dropped events.
            counters: counts the published events of the proxy itself.
            tap: copies published events.
            held_bytes: limit of the events held for one dialog.
        """
        self._bus = bus
        self._losses = losses
        self._metrics = metrics
        self._counters = counters
        self._tap = tap
        self._held_bytes = held_bytes
        self._encoder = EventEncoder(server)
        self._decoder = msgspec.json.Decoder(Event)
        self._timestamps = Rfc3339Nano()
        self._server_topic = topics.events(server)

    def publish(self, dialog: Dialog, event_type: str, text: str, timestamp: str) -> None:
        """Publish an event as the dialog's next one, or hold it for the application.

        Args:
            dialog: one that is not open has to be set up (`DialogSetup.begin`).
            event_type: its ARI type.
            text: the event, JSON.
            timestamp: RFC 3339, when it arrived.
        """
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
        """Publish an event of the proxy itself as the dialog's next one."""
        self._counters.count_own()
        self.publish(dialog, event_type, text, self._timestamps.format(time.time_ns()))

    def precede(self, dialog: Dialog, event_type: str, text: str, sequence: int) -> None:
        """Hold an event of the proxy itself before all others that are held.

        Args:
            dialog: one whose events are held.
            event_type: its type.
            text: the event, JSON.
            sequence: a number that was taken for it.
        """
        self._counters.count_own()
        dialog.held.prepend(self.envelope(event_type, text, dialog.dialog_id, sequence))

    def publish_for_server(self, event_type: str, text: str, timestamp: str) -> None:
        """Publish an event that belongs to no dialog."""
        payload = self._encoder.encode(text, event_type, timestamp, "", 0)
        self._bus.publish(self._server_topic, payload)

    def envelope(
        self, event_type: str, text: str, owner: DialogId | str = "", sequence: int = 0
    ) -> bytes:
        """Return an event of the proxy itself.

        Args:
            event_type: its type.
            text: the event, JSON.
            owner: the dialog, or '' for the server.
            sequence: in the dialog's order; 0 outside of it.
        """
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
            self._metrics.count_dropped("held_too_long")
            self._losses.note(dialog.topic, lost, "full")

    def release(self, dialog: Dialog, *, is_first_delivered: bool) -> None:
        """Open a dialog: publish the events that were held, and from now on those that come.

        Args:
            dialog: one with an application that listens.
            is_first_delivered: whether the first held event was the probe, and has arrived.
        """
        held = dialog.deliver(time.monotonic())
        for payload in held[1:] if is_first_delivered else held:
            self._bus.publish(dialog.topic, payload)
        if self._tap.is_on:
            for payload in held:
                self._tap.copy("event", dialog.dialog_id, payload)

    def drop_first(self, dialog: Dialog) -> None:
        """Drop the first held event, which has arrived as the probe; hold the others."""
        payload = dialog.held.remove_first()
        if self._tap.is_on:
            self._tap.copy("event", dialog.dialog_id, payload)

    def abandon(self, dialog: Dialog) -> None:
        """Drop the dialog's events, now and later: no application serves it."""
        for payload in dialog.abandon():
            self._drop_unheard(dialog, payload)

    def _drop_unheard(self, dialog: Dialog, payload: bytes) -> None:
        self._metrics.count_dropped("no_listener")
        self._tap.copy("unheard", dialog.dialog_id, payload)
