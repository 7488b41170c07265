"""Traces: whose child a span is, and what travels to whom; real buses, and OTLP over HTTP."""

import asyncio
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any

import pytest
from aiohttp import web
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest
from opentelemetry.proto.trace.v1.trace_pb2 import Span
from opentelemetry.sdk.trace import ReadableSpan, TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter

from ari_proxy.bus.base import Message
from ari_proxy.telemetry.traces import exported
from tests.support import process
from tests.support.running import LegacyClient, bus_client, running_proxy, until
from tests.support.scripted_asterisk import channel_event, scripted_asterisk
from tests.support.servers import BusServer
from tests.support.setting import Setting, settings_of

#: Another system's trace.
TRACE = "4bf92f3577b34da6a3ce929d0e0e4736"
PARENT = "00f067aa0ba902b7"
TRACEPARENT = f"00-{TRACE}-{PARENT}-01"


@pytest.fixture
def spans() -> InMemorySpanExporter:
    """What would go out."""
    return InMemorySpanExporter()


@asynccontextmanager
async def proxy(
    bus_server: BusServer, spans: InMemorySpanExporter, **traces: Any
) -> AsyncIterator[Setting]:
    provider = TracerProvider(shutdown_on_exit=False)
    provider.add_span_processor(SimpleSpanProcessor(spans))
    traces_of = partial(exported, provider=provider)
    async with scripted_asterisk() as asterisk:
        settings = settings_of(asterisk, bus_server, traces=traces, ingest={"listener_seconds": 2})
        async with bus_client(settings) as bus, running_proxy(settings, traces_of=traces_of):
            await until(asterisk.connected.is_set)
            yield Setting(asterisk, settings, bus, LegacyClient(bus, "demo"))


@dataclass
class Call:
    """A dialog as its application gets it, with what a JSON body does not show."""

    dialog_id: str
    start: Message
    responses: list[Message]


async def begin(setting: Setting) -> Call:
    """Begin a dialog that is served by nobody else."""
    heard: dict[str, list[Message]] = {"starts": [], "events": [], "responses": []}
    await setting.bus.subscribe("demo", heard["starts"].append, group="ariq")
    await setting.asterisk.push(channel_event("StasisStart", "c"))
    await until(lambda: heard["starts"])
    start = heard["starts"][0]
    dialog = json.loads(start.payload)["dialog_id"]
    for kind in ("events", "responses"):
        await setting.bus.subscribe(f"{kind}_{dialog}", heard[kind].append, group="ariq")
    await until(lambda: heard["events"])
    return Call(dialog, start, heard["responses"])


def named(spans: InMemorySpanExporter, name: str) -> ReadableSpan:
    (span,) = [span for span in spans.get_finished_spans() if span.name == name]
    return span


async def test_app_start_carries_its_span_as_header_and_field(
    bus_server: BusServer, spans: InMemorySpanExporter
) -> None:
    async with proxy(bus_server, spans, enabled=True) as setting:
        call = await begin(setting)
        await until(spans.get_finished_spans)
        span = named(spans, "AppStart demo")
        assert span.context is not None
        flags = span.context.trace_flags
        expected = f"00-{span.context.trace_id:032x}-{span.context.span_id:016x}-{flags:02x}"
        assert call.start.traceparent == expected
        assert json.loads(call.start.payload)["traceparent"] == expected
        assert span.parent is None
        assert dict(span.attributes or {}) == {
            "messaging.system": bus_server.kind.lower(),
            "messaging.destination.name": "demo",
            "messaging.operation.type": "send",
            "ari_proxy.server_id": "server-1",
            "ari_proxy.dialog_id": call.dialog_id,
            "asterisk.channel_id": "c",
        }


@pytest.mark.parametrize("by", ["header", "field"])
async def test_command_is_the_child_of_its_sender_and_the_parent_of_its_request(
    bus_server: BusServer, spans: InMemorySpanExporter, by: str
) -> None:
    async with proxy(bus_server, spans, enabled=True) as setting:
        call = await begin(setting)
        command = {"url": "/channels/c/answer", "method": "POST"}
        if by == "field":
            command["traceparent"] = TRACEPARENT
        setting.bus.publish(
            f"commands_{call.dialog_id}",
            json.dumps(command).encode(),
            traceparent=TRACEPARENT if by == "header" else "",
        )
        await until(lambda: len(spans.get_finished_spans()) >= 3)

        done, asked = (
            named(spans, "command POST"),
            named(spans, "POST /channels/{channelId}/answer"),
        )
        assert done.parent is not None
        assert (f"{done.parent.trace_id:032x}", f"{done.parent.span_id:016x}") == (TRACE, PARENT)
        assert asked.parent == done.context
        attributes = asked.attributes or {}
        assert attributes["http.response.status_code"] == 204
        assert attributes["url.template"] == "/channels/{channelId}/answer"
        await until(lambda: call.responses)
        assert call.responses[0].traceparent.split("-")[1] == TRACE


@pytest.mark.parametrize("garbage", ["", "x", "00-" + "0" * 32 + "-" + "0" * 16 + "-01", "ü" * 60])
async def test_command_with_a_malformed_trace_begins_one_of_its_own(
    bus_server: BusServer, spans: InMemorySpanExporter, garbage: str
) -> None:
    async with proxy(bus_server, spans, enabled=True) as setting:
        dialog = await setting.begin()
        command = {"url": "/channels/c", "method": "DELETE", "traceparent": garbage}
        response = await setting.client.send(dialog, json.dumps(command).encode())
        assert response["status_code"] == 204
        await until(lambda: len(spans.get_finished_spans()) >= 3)
        assert named(spans, "command DELETE").parent is None


async def test_call_that_nobody_wants_and_failures_are_errors(
    bus_server: BusServer, spans: InMemorySpanExporter
) -> None:
    async with proxy(bus_server, spans, enabled=True) as setting:
        await setting.asterisk.push(channel_event("StasisStart", "lost"))
        await until(spans.get_finished_spans)
        assert not named(spans, "AppStart demo").status.is_ok
        spans.clear()

        dialog = await setting.begin()
        setting.asterisk.answer("GET", "/channels/c", 500, "{}")
        await setting.client.command(dialog, "GET", "/channels/c")
        await until(lambda: len(spans.get_finished_spans()) >= 3)
        assert not named(spans, "command GET").status.is_ok
        assert not named(spans, "GET /channels/{channelId}").status.is_ok


async def test_nothing_is_traced_or_sent_by_default(
    bus_server: BusServer, spans: InMemorySpanExporter
) -> None:
    async with proxy(bus_server, spans) as setting:
        call = await begin(setting)
        command = json.dumps({"url": "/channels/c", "method": "GET"}).encode()
        setting.bus.publish(f"commands_{call.dialog_id}", command, traceparent=TRACEPARENT)
        await until(lambda: call.responses)
        assert "traceparent" not in json.loads(call.start.payload)
        assert (call.start.traceparent, call.responses[0].traceparent) == ("", "")
    assert not spans.get_finished_spans()


# OTLP


@dataclass
class Collector:
    endpoint: str = ""
    spans: list[Span] = field(default_factory=list)
    resources: list[dict[str, str]] = field(default_factory=list)

    async def take(self, request: web.Request) -> web.Response:
        asked = ExportTraceServiceRequest.FromString(await request.read())
        for group in asked.resource_spans:
            attributes = group.resource.attributes
            self.resources.append({a.key: a.value.string_value for a in attributes})
            for scope in group.scope_spans:
                self.spans += scope.spans
        return web.Response(content_type="application/x-protobuf")


@asynccontextmanager
async def collector() -> AsyncIterator[Collector]:
    taker = Collector()
    app = web.Application()
    app.router.add_post("/v1/traces", taker.take)
    runner = web.AppRunner(app)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    taker.endpoint = f"http://127.0.0.1:{runner.addresses[0][1]}"
    try:
        yield taker
    finally:
        await runner.cleanup()


@asynccontextmanager
async def served(
    bus_server: BusServer, log: Path, endpoint: str
) -> AsyncIterator[tuple[Setting, str, process.Process]]:
    """Run the proxy as a process that traces, with a dialog begun."""
    async with scripted_asterisk() as asterisk:
        settings = settings_of(asterisk, bus_server)
        environment = process.environment_of(settings) | {
            "ARI_PROXY_TRACES__ENABLED": "true",
            "ARI_PROXY_TRACES__ENDPOINT": endpoint,
        }
        async with (
            bus_client(settings) as bus,
            process.running(log, "standalone", **environment) as running,
        ):
            await until(asterisk.connected.is_set)
            setting = Setting(asterisk, settings, bus, LegacyClient(bus, "demo"))
            yield setting, await setting.begin(), running


async def test_spans_go_out_by_otlp_also_those_of_the_end(
    bus_server: BusServer, tmp_path: Path
) -> None:
    async with collector() as taker:
        async with served(bus_server, tmp_path / "log", taker.endpoint) as (
            setting,
            dialog,
            running,
        ):
            await setting.client.command(dialog, "POST", "/channels/c/answer")
            running.signal()
            assert await running.ended() == 0
        assert {span.name for span in taker.spans} == {
            "AppStart demo",
            "command POST",
            "POST /channels/{channelId}/answer",
        }
        (resource,) = {tuple(sorted(r.items())) for r in taker.resources}
        assert dict(resource)["service.name"] == "ari-proxy-standalone"


async def test_collector_that_is_away_delays_neither_calls_nor_the_end(
    bus_server: BusServer, tmp_path: Path
) -> None:
    nowhere = "http://127.0.0.1:9"
    async with served(bus_server, tmp_path / "log", nowhere) as (setting, dialog, running):
        response = await setting.client.command(dialog, "GET", "/channels/c")
        assert response["status_code"] == 204
        running.signal()
        async with asyncio.timeout(15):
            assert await running.ended() == 0
