"""The metrics as Prometheus's own tool wants them."""

from pathlib import Path

import pytest

from ari_proxy.telemetry.metrics import Metrics
from ari_proxy.telemetry.metrics_table import TABLE
from tests.support.process import running
from tests.support.prometheus import objections
from tests.support.scripted_asterisk import scripted_asterisk
from tests.support.servers import NatsServer


def test_every_metric_is_named_and_described_as_it_should_be() -> None:
    metrics = Metrics()
    for row in TABLE:
        labels = ["x"] * len(row.labels)
        if row.is_read:
            metrics.read(row, lambda: 1, *labels)
        elif row.kind == "counter":
            metrics.counter(row, *labels).inc()
        elif row.kind == "gauge":
            metrics.gauge(row, *labels).set(1)
        else:
            metrics.histogram(row, *labels).observe(1)
    text = metrics.text()

    assert all(f"# HELP {row.name.removesuffix('_total')}".encode() in text for row in TABLE)
    assert objections(text) == ""
    assert b"_created" not in text


@pytest.mark.parametrize("component", ["ingest", "command", "standalone"])
async def test_live_metrics(nats_server: NatsServer, tmp_path: Path, component: str) -> None:
    async with scripted_asterisk() as asterisk:
        settings = {
            "ARI_PROXY_APPLICATIONS": '["demo"]',
            "ARI_PROXY_ARI__REST_URL": asterisk.url,
            "ARI_PROXY_ARI__WEBSOCKET_URL": asterisk.websocket_url,
            "ARI_PROXY_ARI__PASSWORD": asterisk.password,
            "ARI_PROXY_BUS__URLS": f'["{nats_server.url}"]',
        }
        async with running(tmp_path / "log", component, **settings) as process:
            await process.logged("bus.connected")
            status, text = await process.admin("/metrics")

    assert status == 200
    assert objections(text.encode()) == ""
    own = {"ingest": "_ingest_", "command": "_command_"}
    others = [part for name, part in own.items() if name != component]
    names = [line.split()[2] for line in text.splitlines() if line.startswith("# TYPE")]
    assert component == "standalone" or not any(part in x for x in names for part in others)
    assert not any("_operator_" in name for name in names)
