"""The set-up of a dialog as people see it: counted, traced, and copied for who watches."""

from collections.abc import Callable

from opentelemetry.trace import SpanKind

from ari_proxy.protocol.ids import ServerId
from ari_proxy.tap.tap import Tap
from ari_proxy.telemetry import metrics as table
from ari_proxy.telemetry.metrics import Metrics
from ari_proxy.telemetry.traces import Traces, failed, traceparent_of

from .dialogs import Dialog
from .set_up import SetUp


class Announcing:
    """Sets up the dialogs of one server."""

    def __init__(
        self, server: ServerId, set_up: SetUp, *, metrics: Metrics, tap: Tap, traces: Traces
    ) -> None:
        self._server = server
        self._set_up = set_up
        self._metrics = metrics
        self._tap = tap
        self._traces = traces

    async def run(self, dialog: Dialog, release: Callable[[Dialog], None]) -> bool:
        """Set up a dialog; return False if no application wanted it (`SetUp.run`)."""

        def release_first(dialog: Dialog) -> None:
            if dialog.is_announced and self._tap.is_on:
                self._tap.copy("app_start", dialog.dialog_id, self._set_up.app_start(dialog))
            release(dialog)

        if self._traces.is_on and dialog.announce:
            accepted = await self._traced(dialog, release_first)
        else:
            accepted = await self._set_up.run(dialog, release_first)
        result = "accepted" if accepted else "no_listener"
        if accepted or dialog.is_call:
            self._count(dialog, result)
        return accepted

    def _count(self, dialog: Dialog, result: str) -> None:
        self._metrics.counter(table.APP_STARTS, self._server, dialog.application, result).inc()

    async def _traced(self, dialog: Dialog, release: Callable[[Dialog], None]) -> bool:
        span = self._traces.begin(
            f"AppStart {dialog.application}",
            SpanKind.PRODUCER,
            messaging__destination__name=dialog.application,
            messaging__operation__type="send",
            ari_proxy__dialog_id=dialog.dialog_id,
            asterisk__channel_id=dialog.channel_id,
        )
        dialog.traceparent = traceparent_of(span)
        try:
            accepted = await self._set_up.run(dialog, release)
            if not accepted:
                failed(span, "no_listener")
            return accepted
        finally:
            span.end()
