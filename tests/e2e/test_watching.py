"""Views of a call in a cluster: the console, and traces at a collector."""

import asyncio

import aiohttp
import pytest
import yaml

from tests.e2e.conftest import calls, named, sample
from tests.support import cluster
from tests.support.cluster import Namespace

pytestmark = pytest.mark.timeout(420)

#: Takes OTLP over HTTP, and logs the names of the spans; the services' image can read them.
COLLECTOR = """
import http.server
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest

class Collector(http.server.BaseHTTPRequestHandler):
    def do_POST(self):
        body = self.rfile.read(int(self.headers["Content-Length"]))
        for resource in ExportTraceServiceRequest.FromString(body).resource_spans:
            for scope in resource.scope_spans:
                for span in scope.spans:
                    print(f"span {span.name}", flush=True)
        self.send_response(200)
        self.end_headers()

http.server.HTTPServer(("", 4318), Collector).serve_forever()
"""


def collector(image: str) -> str:
    """Return the manifests of a collector."""
    labels = {"app": "collector"}
    pod = {
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": {"name": "collector", "labels": labels},
        "spec": {
            "securityContext": {"runAsNonRoot": True, "seccompProfile": {"type": "RuntimeDefault"}},
            "containers": [
                {
                    "name": "collector",
                    "image": image,
                    "command": ["python3", "-c", COLLECTOR],
                    "readinessProbe": {"tcpSocket": {"port": 4318}, "periodSeconds": 1},
                    "securityContext": {
                        "allowPrivilegeEscalation": False,
                        "capabilities": {"drop": ["ALL"]},
                    },
                }
            ],
        },
    }
    service = {
        "apiVersion": "v1",
        "kind": "Service",
        "metadata": {"name": "collector"},
        "spec": {"selector": labels, "ports": [{"port": 4318}]},
    }
    return yaml.safe_dump_all([pod, service])


async def test_call_is_seen_in_the_console_and_as_a_trace(voice: Namespace) -> None:
    name = "watched"
    resource = named(sample("minimal"), name, name)
    resource["spec"]["ingest"] = {"console": True}
    traces = {"endpoint": "http://collector:4318", "samplingPercentage": 100}
    resource["spec"]["monitoring"] = {"traces": traces}
    await asyncio.to_thread(voice.apply, yaml.safe_dump(resource))
    await asyncio.to_thread(voice.until_settled, name, 1)
    (ingest,) = voice.pods(name, "ingest")
    image = ingest["spec"]["containers"][0]["image"]
    await asyncio.to_thread(voice.apply, collector(image))
    ready = ("wait", "pod/collector", "--for=condition=Ready", "--timeout=120s")
    await asyncio.to_thread(voice.kubectl, *ready)

    async with calls(voice, name) as made:
        (channel,) = await made.place()
        dialog = made.dialog_of(channel)
        await made.client.command(dialog, "POST", f"/channels/{channel}/answer")

        with voice.forwarded(f"pod/{ingest['metadata']['name']}", 9798) as port:
            console = f"http://127.0.0.1:{port}/console"
            async with aiohttp.ClientSession() as browser:
                async with browser.get(console) as page:
                    assert "<html" in await page.text()
                async with browser.get(f"{console}/state") as state:
                    shown = [item["dialog_id"] for item in (await state.json())["dialogs"]]
        assert dialog in shown

        expected = {
            f"span AppStart {name}",
            "span command POST",
            "span POST /channels/{channelId}/answer",
        }
        await asyncio.to_thread(
            cluster.until,
            lambda: expected <= set(voice.kubectl("logs", "collector").splitlines()),
            f"the collector has {expected}",
        )
    await asyncio.to_thread(voice.kubectl, "delete", "ariproxy", name)
    await asyncio.to_thread(voice.kubectl, "delete", "pod/collector", "service/collector")
