"""Calls on an Asterisk that opens the websocket for events, over a link."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ari_proxy.bus.base import Bus
from ari_proxy.settings.load import Settings
from tests.support.calls import Calls, asterisk_client
from tests.support.link import Link
from tests.support.outbound import DiallingAsterisk
from tests.support.ports import free_port
from tests.support.process import environment_of
from tests.support.running import LegacyClient, bus_client, settings_for
from tests.support.servers import BusServer
from tests.support.ways import NOWHERE


@dataclass
class OutboundStage:
    """Where the proxy will run, the Asterisk that connects to it, and calls."""

    settings: Settings
    asterisk: DiallingAsterisk
    link: Link
    bus: Bus
    client: LegacyClient
    calls: Calls

    @property
    def environment(self) -> dict[str, str]:
        """The settings, for processes."""
        return environment_of(self.settings)


@asynccontextmanager
async def outbound_stage(
    directory: Path, bus_server: BusServer, application: str, *, websockets: int = 0, **groups: Any
) -> AsyncIterator[OutboundStage]:
    """Run an Asterisk that connects by a link, and a client of the original's.

    Args:
        directory: for files of the test.
        bus_server: a bus.
        application: of the calls.
        websockets: that Asterisk opens for commands.
        groups: further settings.
    """
    port = free_port()
    ari = {"connection": "outbound", "listen": f"127.0.0.1:{port}"}
    settings = settings_for(
        bus_server,
        rest_url=f"http://{NOWHERE}",
        websocket_url=f"ws://{NOWHERE}/events",
        application=application,
        ari=ari,
        **groups,
    )
    link = Link(port)
    link.start()
    asterisk = DiallingAsterisk(
        directory, link.port, applications=(application,), websockets=websockets
    )
    try:
        asterisk.start()
        async with bus_client(settings) as bus, asterisk_client(asterisk) as rest:
            client = LegacyClient(bus, application)
            await client.start()
            calls = Calls(rest, application, client)
            yield OutboundStage(settings, asterisk, link, bus, client, calls)
    finally:
        asterisk.remove()
        link.remove()
