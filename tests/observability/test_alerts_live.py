"""A real Prometheus with these rules: alerts come with the fault and go with it."""

import asyncio
import re
from pathlib import Path
from urllib.parse import urlsplit

import pytest

from tests.observability.test_alerts import RULES
from tests.support import process
from tests.support.link import Link
from tests.support.prometheus import Prometheus
from tests.support.running import settings_for
from tests.support.scripted_asterisk import channel_event, scripted_asterisk
from tests.support.servers import NatsServer


def hurried_rules() -> str:
    """Return the rules with seconds for minutes: nothing else is different."""
    text = re.sub(r"for: \d+[mh]", "for: 2s", RULES.read_text())
    return re.sub(r"\[\d+m\]", "[10s]", text)


async def until(prometheus: Prometheus, alert: str, *, fires: bool) -> None:
    async with asyncio.timeout(45):
        while (alert in await asyncio.to_thread(prometheus.firing)) is not fires:
            await asyncio.sleep(0.2)


@pytest.mark.timeout(180)
async def test_alerts_fire_and_resolve(own_nats_server: NatsServer, tmp_path: Path) -> None:
    async with scripted_asterisk() as asterisk:
        link = Link(urlsplit(asterisk.url).port or 0)
        link.start()
        settings = settings_for(
            own_nats_server,
            rest_url=asterisk.url,
            websocket_url=f"ws://127.0.0.1:{link.port}/ari/events",
            application="demo",
        )
        hurried = {"ARI_PROXY_INGEST__LISTENER_SECONDS": "0.5"}
        environment = process.environment_of(settings) | hurried
        async with process.running(tmp_path / "log", "standalone", **environment) as running:
            prometheus = Prometheus(
                [(await running.logged("admin.listening"))["port"]], hurried_rules()
            )
            prometheus.start()
            try:
                await running.logged("dialogs.reconciled")
                await prometheus.until_scraped()
                assert prometheus.firing() <= {"AriProxyOperatorDown"}  # There is none here.

                link.stop()
                await until(prometheus, "AriProxyIngestDisconnected", fires=True)
                link.start()
                await until(prometheus, "AriProxyIngestDisconnected", fires=False)

                own_nats_server.stop()
                await until(prometheus, "AriProxyBusDisconnected", fires=True)
                own_nats_server.start()
                await until(prometheus, "AriProxyBusDisconnected", fires=False)

                await asterisk.push(channel_event("StasisStart", "c"))
                await until(prometheus, "AriProxyNoListener", fires=True)
                await until(prometheus, "AriProxyNoListener", fires=False)
            finally:
                prometheus.remove()
                link.remove()
