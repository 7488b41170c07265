"""Metrics, traces and copies of the commands of one server."""

from contextlib import AbstractContextManager
from typing import Final

import msgspec
from opentelemetry.trace import Span, SpanKind

from ari_proxy.ari.errors import TransportError
from ari_proxy.protocol import messages, topics
from ari_proxy.protocol.ids import DialogId, ServerId
from ari_proxy.protocol.messages import Command
from ari_proxy.tap.tap import Tap
from ari_proxy.telemetry import metrics_table as table
from ari_proxy.telemetry.metrics import Metrics
from ari_proxy.telemetry.traces import NO_SPAN, Traces

from .errors import RejectedError

#: The reasons of TransportError.
FAILURE_REASONS: Final = ("unreachable", "timeout", "too_large", "needs_http")


class CommandTelemetry:
    """Observes commands, their requests to Asterisk, and their responses."""

    def __init__(self, server: ServerId, metrics: Metrics, tap: Tap, traces: Traces) -> None:
        self._server = server
        self._metrics = metrics
        self._tap = tap
        self._traces = traces
        self._command_seconds = metrics.histogram(table.COMMAND_SECONDS, server)
        for reason in FAILURE_REASONS:  # Initialised to 0 so that rate() sees the first failure.
            metrics.counter(table.REQUEST_FAILURES, server, reason)

    def command(
        self, owner: DialogId | ServerId, command: Command, parent: str
    ) -> AbstractContextManager[Span]:
        """Copy a command to the tap, and return a span around its execution.

        Args:
            owner: the dialog or the server on whose topic the command came.
            command: the command.
            parent: the client's traceparent, or ''.
        """
        if self._tap.is_on:
            self._tap.copy("command", owner, messages.encode(command))
        if not self._traces.is_on:
            return NO_SPAN
        return self._traces.span(
            f"command {command.method.upper()}",
            SpanKind.CONSUMER,
            {
                "messaging.destination.name": topics.commands(owner),
                "messaging.operation.type": "process",
                "ari_proxy.dialog_id": owner,
            },
            parent=parent,
        )

    def request(
        self, method: str, template: str, url: str, dialog_id: DialogId
    ) -> AbstractContextManager[Span]:
        """Copy a request to the tap, and return a span around it."""
        if self._tap.is_on:
            content = msgspec.json.encode({"method": method, "url": url})
            self._tap.copy("request", dialog_id, content)
        if not self._traces.is_on:
            return NO_SPAN
        return self._traces.span(
            f"{method} {template}",
            SpanKind.CLIENT,
            {"http.request.method": method, "url.template": template},
        )

    def request_answered(self, method: str, seconds: float) -> None:
        """Measure a request that Asterisk has answered after so many seconds."""
        self._metrics.histogram(table.REQUEST_SECONDS, self._server, method).observe(seconds)

    def command_answered(self, method: str, template: str, status: int, seconds: float) -> None:
        """Count a command that Asterisk has answered after so many seconds."""
        operation = f"{method} {template}"
        self._metrics.counter(table.REQUESTS, self._server, operation, str(status)).inc()
        self._command_seconds.observe(seconds)

    def failed(self, error: RejectedError | TransportError) -> None:
        """Count a command that Asterisk has not answered."""
        is_rejected = isinstance(error, RejectedError)
        row = table.REJECTED if is_rejected else table.REQUEST_FAILURES
        self._metrics.counter(row, self._server, error.reason).inc()

    def response(self, owner: DialogId | ServerId, payload: bytes) -> None:
        """Copy a response to the tap."""
        if self._tap.is_on:
            self._tap.copy("response", owner, payload)
