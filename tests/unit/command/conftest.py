import pytest
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter

from ari_proxy.telemetry.traces import Traces
from tests.support.event_path import SERVER


@pytest.fixture(params=[False, True], ids=["untraced", "traced"])
def traces(request: pytest.FixtureRequest) -> Traces:
    if not request.param:
        return Traces()
    provider = TracerProvider(shutdown_on_exit=False)
    provider.add_span_processor(SimpleSpanProcessor(InMemorySpanExporter()))
    return Traces(provider.get_tracer("test"), bus="NATS", server_id=SERVER)
