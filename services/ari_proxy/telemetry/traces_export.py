"""Export of traces by OpenTelemetry's SDK and OTLP over HTTP. Needs `ari-proxy[traces]`."""

from typing import Final

from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import BatchSpanProcessor
from opentelemetry.sdk.trace.sampling import ParentBasedTraceIdRatio

from ari_proxy.__about__ import __version__
from ari_proxy.settings.process import TracesSettings

#: Seconds that one export may take.
_EXPORT_SECONDS: Final = 2.0


def provider_of(settings: TracesSettings, component: str, server_id: str) -> TracerProvider:
    """Return a TracerProvider that exports spans from a background thread."""
    resource = Resource.create(
        {
            "service.name": f"ari-proxy-{component}",
            "service.namespace": "ari-proxy",
            "service.version": __version__,
            "ari_proxy.server_id": server_id,
        }
    )
    provider = TracerProvider(
        sampler=ParentBasedTraceIdRatio(settings.ratio),
        resource=resource,
        shutdown_on_exit=False,
    )
    endpoint = f"{settings.endpoint.rstrip('/')}/v1/traces" if settings.endpoint else None
    exporter = OTLPSpanExporter(endpoint=endpoint, timeout=_EXPORT_SECONDS)
    provider.add_span_processor(BatchSpanProcessor(exporter))
    return provider
