"""Traces (OpenTelemetry): a span per AppStart, command and request to Asterisk.

Only OpenTelemetry's API is a dependency; the SDK and OTLP come with `ari-proxy[traces]`. While
traces are off, neither is called.
"""

import asyncio
import contextlib
from collections.abc import AsyncIterator, Mapping
from contextlib import AbstractContextManager, asynccontextmanager
from typing import TYPE_CHECKING, Final

from opentelemetry import context, trace
from opentelemetry.trace import Span, SpanKind, Status, StatusCode, Tracer
from opentelemetry.trace.propagation.tracecontext import TraceContextTextMapPropagator

from ari_proxy.__about__ import __version__
from ari_proxy.protocol.messages import TRACEPARENT
from ari_proxy.settings.errors import SettingsError
from ari_proxy.settings.process import TracesSettings

if TYPE_CHECKING:
    from opentelemetry.sdk.trace import TracerProvider

#: Seconds to export the remaining spans when the process ends.
FLUSH_SECONDS: Final = 5.0
#: Statuses from here on are no client's fault.
_FAILED: Final = 500
_propagator: Final = TraceContextTextMapPropagator()
#: Around a block that is not traced.
NO_SPAN: Final[AbstractContextManager[Span]] = contextlib.nullcontext(trace.INVALID_SPAN)


class Traces:
    """Starts spans, or does nothing."""

    def __init__(self, tracer: Tracer | None = None, *, bus: str = "", server_id: str = "") -> None:
        """Attach a tracer.

        Args:
            tracer: OpenTelemetry's; None if traces are off.
            bus: NATS or RABBITMQ, an attribute of all spans.
            server_id: an attribute of all spans.
        """
        self.is_on = tracer is not None
        self._bus = bus
        self._tracer = tracer or trace.NoOpTracer()
        self._common = {"messaging.system": bus.lower(), "ari_proxy.server_id": server_id}

    def of_server(self, server_id: str) -> "Traces":
        """Return those of one of several servers, exported together."""
        return Traces(self._tracer if self.is_on else None, bus=self._bus, server_id=server_id)

    def begin(self, name: str, kind: SpanKind, attributes: Mapping[str, str]) -> Span:
        """Start a root span; the caller ends it."""
        return self._tracer.start_span(
            name, context.Context(), kind, {**self._common, **attributes}
        )

    def span(
        self,
        name: str,
        kind: SpanKind,
        attributes: Mapping[str, str],
        *,
        parent: str | None = None,
    ) -> AbstractContextManager[Span]:
        """Return a context with a span, the parent of spans that start inside it.

        Args:
            name: of the span.
            kind: OpenTelemetry's: consumer, client, …
            attributes: of the span, by OpenTelemetry's names.
            parent: W3C traceparent; '' or a malformed one starts a new trace, None takes the
                current span.
        """
        if not self.is_on:
            return NO_SPAN
        above = None
        if parent is not None:
            above = _propagator.extract({TRACEPARENT: parent}, context.Context())
        return self._tracer.start_as_current_span(name, above, kind, {**self._common, **attributes})


def traceparent_of(span: Span) -> str:
    """Return a span as a W3C traceparent header, or '' if traces are off."""
    if span is trace.INVALID_SPAN or not span.get_span_context().is_valid:
        return ""
    carrier: dict[str, str] = {}
    _propagator.inject(carrier, trace.set_span_in_context(span, context.Context()))
    return carrier.get(TRACEPARENT, "")


def answered(span: Span, status: int) -> None:
    """Record a response's status (OpenTelemetry, HTTP semantic conventions)."""
    if span is trace.INVALID_SPAN:
        return
    span.set_attribute("http.response.status_code", status)
    if status >= _FAILED:
        span.set_status(Status(StatusCode.ERROR))


def failed(span: Span, reason: str) -> None:
    """Mark a span as failed; `reason` is its `error.type`."""
    span.set_attribute("error.type", reason)
    span.set_status(Status(StatusCode.ERROR))


@asynccontextmanager
async def exported(
    settings: TracesSettings,
    component: str,
    *,
    bus: str,
    server_id: str,
    provider: "TracerProvider | None" = None,
) -> AsyncIterator[Traces]:
    """Yield traces exported by OTLP, or disabled ones, as the settings say.

    OpenTelemetry's own environment variables (OTEL_EXPORTER_OTLP_HEADERS, …) apply, too.

    Args:
        settings: of traces.
        component: part of the service's name.
        bus: NATS or RABBITMQ.
        server_id: of the only Asterisk server, or ''.
        provider: replaces the one that exports by OTLP.

    Raises:
        SettingsError: `ari-proxy[traces]` is not installed.
    """
    if not settings.enabled:
        yield Traces()
        return
    provider = provider or _exporting(settings, component, server_id)
    try:
        tracer = provider.get_tracer("ari-proxy", __version__)
        yield Traces(tracer, bus=bus, server_id=server_id)
    finally:
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(FLUSH_SECONDS):
                await asyncio.to_thread(provider.shutdown)


def _exporting(settings: TracesSettings, component: str, server_id: str) -> "TracerProvider":
    try:
        from .traces_export import provider_of  # noqa: PLC0415  needs what may not be installed
    except ModuleNotFoundError as error:
        problem = f"traces.enabled: {error}; pip install 'ari-proxy[traces]'"
        raise SettingsError([problem]) from error
    return provider_of(settings, component, server_id)
