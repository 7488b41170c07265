"""The proxy between a scripted Asterisk and a real bus, with a client like the original's."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Any

from ari_proxy.bus.base import Bus
from ari_proxy.settings.load import Settings
from tests.support.running import (
    LegacyClient,
    bus_client,
    running_proxy,
    settings_for,
    until_running,
)
from tests.support.scripted_asterisk import ScriptedAsterisk, channel_event, scripted_asterisk
from tests.support.servers import BusServer


@dataclass
class Setting:
    asterisk: ScriptedAsterisk
    settings: Settings
    bus: Bus
    client: LegacyClient

    async def begin(self, channel: str = "c") -> str:
        """Let a channel enter the application; return its dialog."""
        if not self.client.starts:
            await self.client.start()
        await self.asterisk.push(channel_event("StasisStart", channel))
        return await self.client.first_dialog()


def settings_of(asterisk: ScriptedAsterisk, bus_server: BusServer, **groups: Any) -> Settings:
    return settings_for(
        bus_server,
        rest_url=asterisk.url,
        websocket_url=asterisk.websocket_url,
        application="demo",
        **groups,
    )


@asynccontextmanager
async def serving(bus_server: BusServer, **groups: Any) -> AsyncIterator[Setting]:
    """Run ingest and command with these settings, and wait until they serve."""
    async with scripted_asterisk() as asterisk:
        settings = settings_of(asterisk, bus_server, **groups)
        async with bus_client(settings) as bus, running_proxy(settings):
            await until_running(settings)
            yield Setting(asterisk, settings, bus, LegacyClient(bus, "demo"))


@asynccontextmanager
async def proxy_with(bus_server: BusServer, **ingest: Any) -> AsyncIterator[Setting]:
    """Run ingest with these settings."""
    async with scripted_asterisk() as asterisk:
        settings = settings_of(asterisk, bus_server, ingest=ingest)
        async with bus_client(settings) as bus, running_proxy(settings, ["ingest"]):
            yield Setting(asterisk, settings, bus, LegacyClient(bus, "demo"))
