"""Fixtures of the faults: a real Asterisk of one's own, and calls on it."""

import itertools
from collections.abc import AsyncIterator, Iterator
from dataclasses import dataclass
from typing import Any

import pytest

from ari_proxy.bus.base import Bus
from ari_proxy.settings.load import Settings
from tests.support.calls import Calls, asterisk_client
from tests.support.link import Link
from tests.support.running import LegacyClient, bus_client, settings_for
from tests.support.servers import Asterisk, BusServer

_numbers = itertools.count()


@pytest.fixture
def own_asterisk(request: pytest.FixtureRequest) -> Iterator[Asterisk]:
    """An Asterisk that the test may kill; 22 unless the test says otherwise."""
    server = Asterisk(getattr(request, "param", "22"))
    server.start()
    yield server
    server.remove()


@pytest.fixture
def websocket_link(own_asterisk: Asterisk) -> Iterator[Link]:
    """The way to Asterisk's websocket; REST goes past it."""
    link = Link(own_asterisk.port)
    link.start()
    yield link
    link.remove()


@dataclass
class Stage:
    """Where the proxy will run, and the calls that it will serve."""

    settings: Settings
    bus: Bus
    client: LegacyClient
    calls: Calls

    @property
    def environment(self) -> dict[str, str]:
        """The settings, for processes."""
        settings = self.settings
        return {
            "ARI_PROXY_SERVER_ID": settings.server_id,
            "ARI_PROXY_APPLICATIONS": f'["{settings.applications[0]}"]',
            "ARI_PROXY_ARI__REST_URL": settings.ari.rest_url,
            "ARI_PROXY_ARI__WEBSOCKET_URL": settings.ari.websocket_url,
            "ARI_PROXY_ARI__PASSWORD": "ari",
            "ARI_PROXY_BUS__KIND": settings.bus.kind,
            "ARI_PROXY_BUS__URLS": f'["{settings.bus.urls[0]}"]',
        }


@pytest.fixture
async def stage(
    own_asterisk: Asterisk, websocket_link: Link, bus_server: BusServer
) -> AsyncIterator[Stage]:
    """The proxy's settings, with the websocket behind a link, and a client of the original's."""
    application = f"chaos{next(_numbers)}"
    settings = stage_settings(
        bus_server, own_asterisk, f"ws://127.0.0.1:{websocket_link.port}/ari/events", application
    )
    async with bus_client(settings) as bus, asterisk_client(own_asterisk) as rest:
        client = LegacyClient(bus, application)
        await client.start()
        yield Stage(settings, bus, client, Calls(rest, application, client))


def stage_settings(
    bus: BusServer, asterisk: Asterisk, websocket_url: str, application: str, **groups: Any
) -> Settings:
    return settings_for(
        bus,
        rest_url=asterisk.url,
        websocket_url=websocket_url,
        application=application,
        **groups,
    )
