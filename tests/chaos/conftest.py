"""Fixtures of the faults: a real Asterisk of one's own, and calls on it."""

import itertools
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Any

import pytest

from ari_proxy.bus.base import Bus
from ari_proxy.settings.load import Settings
from tests.support.calls import Calls, asterisk_client
from tests.support.link import Link
from tests.support.process import environment_of
from tests.support.running import (
    LegacyClient,
    bus_client,
    running_proxy,
    settings_for,
    until_serving,
)
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
        return environment_of(self.settings)


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


@asynccontextmanager
async def calls_over(
    link: Link, bus: BusServer, asterisk: Asterisk, application: str
) -> AsyncIterator[Calls]:
    """Run the proxy behind a link to the bus, and an application straight on it."""
    link.start()
    try:
        settings = stage_settings(link, asterisk, asterisk.websocket_url, application)
        direct = settings.bus.model_copy(update={"urls": (bus.url,)})
        async with (
            bus_client(settings.model_copy(update={"bus": direct})) as bus_of_client,
            asterisk_client(asterisk) as rest,
            running_proxy(settings),
        ):
            client = LegacyClient(bus_of_client, application)
            await client.start()
            await until_serving(bus_of_client)
            calls = Calls(rest, application, client)
            await calls.until_registered()
            yield calls
    finally:
        link.remove()


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
