"""Traces (OpenTelemetry): what led to a command, and how long each part of it took.

The code knows OpenTelemetry's API alone; the SDK and OTLP come with `ari-proxy[traces]`. While
traces are off nothing of it is called.
"""

import asyncio
import contextlib
from collections.abc import AsyncIterator
from contextlib import AbstractContextManager, asynccontextmanager
from typing import TYPE_CHECKING, Final

from opentelemetry import context, trace
from opentelemetry.trace import Span, SpanKind, Status, StatusCode, Tracer
from opentelemetry.trace.propagation.tracecontext import TraceContextTextMapPropagator

from ari_proxy.__about__ import __version__
from ari_proxy.protocol.messages import TRACEPARENT
from ari_proxy.settings.errors import SettingsError

if TYPE_CHECKING:
    from opentelemetry.sdk.trace import TracerProvider

    from ari_proxy.settings.process import TracesSettings

#: Seconds for what is left to go out when the process ends.
FLUSH_SECONDS: Final = 5.0
#: From this status on a request has failed for reasons that are not the client's.
_FAILED: Final = 500
_propagator: Final = TraceContextTextMapPropagator()
#: Around a block that is not traced.
_NO_SPAN: Final[AbstractContextManager[Span]] = contextlib.nullcontext(trace.INVALID_SPAN)


class Traces:
    """Begins spans, or does nothing."""

    def __init__(self, tracer: Tracer | None = None, *, bus: str = "", server_id: str = "") -> None:
        """Make one.

        Args:
            tracer: OpenTelemetry's; None for no traces.
            bus: NATS or RABBITMQ.
            server_id: whose calls they are.
        """
        #: Whether anything is traced.
        self.is_on = tracer is not None
        self._tracer = tracer or trace.NoOpTracer()
        self._common = {"messaging.system": bus.lower(), "ari_proxy.server_id": server_id}

    def begin(self, name: str, kind: SpanKind, **attributes: str) -> Span:
        """Begin a span that is nobody's child; whoever begins it ends it."""
        return self._tracer.start_span(
            name, context.Context(), kind, self._common | _named(attributes)
        )

    def span(
        self, name: str, kind: SpanKind, *, parent: str | None = None, **attributes: str
    ) -> AbstractContextManager[Span]:
        """Return a span around a block, which the block's own spans are children of.

        Args:
            name: what is done.
            kind: on which side.
            parent: a traceparent, perhaps '' or malformed; None for the span around this one.
            attributes: with `__` for each dot.
        """
        if not self.is_on:
            return _NO_SPAN
        above = None
        if parent is not None:
            above = _propagator.extract({TRACEPARENT: parent}, context.Context())
        return self._tracer.start_as_current_span(
            name, above, kind, self._common | _named(attributes)
        )


def _named(attributes: dict[str, str]) -> dict[str, str]:
    return {name.replace("__", "."): value for name, value in attributes.items()}


def traceparent_of(span: Span) -> str:
    """Return a span as W3C Trace Context's header, or '' if nothing is traced."""
    if not span.get_span_context().is_valid:
        return ""
    carrier: dict[str, str] = {}
    _propagator.inject(carrier, trace.set_span_in_context(span, context.Context()))
    return carrier.get(TRACEPARENT, "")


def answered(span: Span, status: int) -> None:
    """Note what was answered (OpenTelemetry, HTTP semantic conventions)."""
    span.set_attribute("http.response.status_code", status)
    if status >= _FAILED:
        span.set_status(Status(StatusCode.ERROR))


def failed(span: Span, reason: str) -> None:
    """Note that it did not work."""
    span.set_attribute("error.type", reason)
    span.set_status(Status(StatusCode.ERROR))


@asynccontextmanager
async def exported(
    settings: "TracesSettings",
    component: str,
    *,
    bus: str,
    server_id: str,
    provider: "TracerProvider | None" = None,
) -> AsyncIterator[Traces]:
    """Yield traces that go out by OTLP, or none at all, as the settings say.

    OTLP's own variables (OTEL_EXPORTER_OTLP_HEADERS, …) hold as well.

    Args:
        settings: of traces.
        component: which process it is.
        bus: NATS or RABBITMQ.
        server_id: whose calls they are.
        provider: makes tracers instead of the one that exports by OTLP.

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


def _exporting(settings: "TracesSettings", component: str, server_id: str) -> "TracerProvider":
    try:
        from .traces_export import provider_of  # noqa: PLC0415  needs what may not be installed
    except ModuleNotFoundError as error:
        problem = f"traces.enabled: {error}; pip install 'ari-proxy[traces]'"
        raise SettingsError([problem]) from error
    return provider_of(settings, component, server_id)
