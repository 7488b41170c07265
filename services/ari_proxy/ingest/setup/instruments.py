"""Metrics, traces and tap records of dialogs: their set-ups and their ends."""

import time
from collections.abc import Iterator
from contextlib import contextmanager

from opentelemetry.trace import INVALID_SPAN, Span, SpanKind

from ari_proxy.ingest.routing.dialog import Dialog
from ari_proxy.ingest.routing.phase import DeliveryPhase
from ari_proxy.ingest.routing.proxy_events import EndReason
from ari_proxy.protocol.ids import ServerId
from ari_proxy.tap.tap import Tap
from ari_proxy.telemetry import metrics_table as table
from ari_proxy.telemetry.metrics import Metrics
from ari_proxy.telemetry.traces import Traces, traceparent_of

from .announcement import Announcement


class DialogInstruments:
    """Instruments of one server's dialogs."""

    def __init__(self, server: ServerId, metrics: Metrics, tap: Tap, traces: Traces) -> None:
        self._server = server
        self._metrics = metrics
        self._tap = tap
        self._traces = traces

    def count_started(self, dialog: Dialog) -> None:
        """Count a new dialog."""
        self._metrics.counter(table.DIALOGS_STARTED, self._server, dialog.application).inc()

    def count_result(self, dialog: Dialog, result: str) -> None:
        """Count the outcome of a set-up: `accepted` or `no_listener`."""
        self._metrics.counter(table.APP_STARTS, self._server, dialog.application, result).inc()

    def count_offer(self, dialog: Dialog, result: str) -> None:
        """Count the outcome of a call that Asterisk has offered."""
        self._metrics.counter(table.OFFERED_CALLS, self._server, dialog.application, result).inc()

    def copy_app_start(self, announcement: Announcement) -> None:
        """Copy an AppStart that was accepted to the tap."""
        if announcement.announced_at_ns and self._tap.is_on:
            dialog_id = announcement.dialog.dialog_id
            self._tap.copy("app_start", dialog_id, announcement.app_start)

    def record_duration(self, seconds: float) -> None:
        """Record the duration of a set-up after which events pass."""
        self._metrics.histogram(table.SET_UP_SECONDS, self._server).observe(seconds)

    def record_end(self, dialog: Dialog, reason: EndReason) -> None:
        """Count a dialog that has ended, and how long it lived; copy its end to the tap."""
        labels = self._server, dialog.application
        self._metrics.counter(table.DIALOGS_ENDED, *labels).inc()
        life = time.monotonic() - dialog.started_at
        self._metrics.histogram(table.DIALOG_SECONDS, *labels).observe(life)
        self._tap.copy("end", dialog.dialog_id, b'{"reason":"%b"}' % reason.encode())

    @contextmanager
    def span(self, announcement: Announcement) -> Iterator[Span]:
        """Trace the AppStart, if it was not accepted before and traces are on."""
        dialog = announcement.dialog
        is_known = dialog.delivery is DeliveryPhase.ACCEPTED
        if is_known or not (self._traces.is_on and dialog.announce):
            yield INVALID_SPAN
            return
        span = self._traces.begin(
            f"AppStart {dialog.application}",
            SpanKind.PRODUCER,
            {
                "messaging.destination.name": dialog.application,
                "messaging.operation.type": "send",
                "ari_proxy.dialog_id": dialog.dialog_id,
                "asterisk.channel_id": dialog.channel_id,
            },
        )
        announcement.join_trace(traceparent_of(span))
        try:
            yield span
        finally:
            span.end()
