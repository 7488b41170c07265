"""Fixtures of the faults: a real Asterisk of one's own, and calls on it."""

import itertools
import os
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import pytest

from ari_proxy.bus.base import Bus
from ari_proxy.settings.load import Settings
from tests.support.balancer import Balancer
from tests.support.calls import Calls, asterisk_client
from tests.support.link import Link
from tests.support.outbound import DiallingAsterisk
from tests.support.ports import free_port
from tests.support.process import environment_of
from tests.support.running import (
    LegacyClient,
    bus_client,
    running_proxy,
    settings_for,
    until_serving,
)
from tests.support.servers import Asterisk, AsteriskCrashedError, BusServer
from tests.support.ways import NOWHERE

_numbers = itertools.count()


Connection = Literal["inbound", "outbound"]

#: For tests of faults that who connects may make a difference to; Asterisk with LONG=1 only: what
#: is special about it has tests of its own (test_outbound.py).
both_connections = pytest.mark.parametrize(
    "connection", ["inbound", "outbound"] if os.environ.get("LONG") else ["inbound"]
)


def pytest_itemcollected(item: pytest.Item) -> None:
    """Have a test run anew if its Asterisk has crashed (docs/reliability.md), twice at most."""
    item.add_marker(pytest.mark.flaky(reruns=2, only_rerun=AsteriskCrashedError.__name__))


@pytest.hookimpl(wrapper=True)
def pytest_runtest_call() -> Iterator[None]:
    try:
        yield
    except (Exception, pytest.fail.Exception) as error:
        if signals := Asterisk.crashed():
            raise AsteriskCrashedError(*signals) from error
        raise


@pytest.fixture
def connection() -> Connection:
    """Who opens the websocket for events."""
    return "inbound"


@pytest.fixture
def application() -> str:
    return f"chaos{next(_numbers)}"


@pytest.fixture
def own_asterisk(
    request: pytest.FixtureRequest, connection: Connection, application: str, tmp_path: Path
) -> Iterator[Asterisk]:
    """An Asterisk that the test may kill; 22 unless the test says otherwise."""
    server = Asterisk(getattr(request, "param", "22"))
    if connection == "outbound":
        link: Link = request.getfixturevalue("websocket_link")
        server = DiallingAsterisk(tmp_path, link.port, applications=(application,))
    server.start()
    yield server
    server.remove()


@pytest.fixture
async def balancer() -> AsyncIterator[Balancer]:
    """Where Asterisk finds the proxy's processes, if it opens the websockets."""
    balancer = Balancer(free_port())
    async with balancer.running():
        yield balancer


@pytest.fixture
def websocket_link(request: pytest.FixtureRequest, connection: Connection) -> Iterator[Link]:
    """The way to Asterisk's websocket, past which REST goes; or Asterisk's way to the proxy."""
    other = {"inbound": "own_asterisk", "outbound": "balancer"}[connection]
    link = Link(request.getfixturevalue(other).port)
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
    #: Where Asterisk finds its processes; None if they connect to it.
    balancer: Balancer | None

    @property
    def environment(self) -> dict[str, str]:
        """The settings, for processes."""
        return environment_of(self.settings)

    def environment_of_another(self) -> dict[str, str]:
        """The settings for a process beside the first one."""
        if self.balancer is None:
            return self.environment
        port = free_port()
        self.balancer.targets.append(port)
        return self.environment | {"ARI_PROXY_ARI__LISTEN": f"127.0.0.1:{port}"}


@pytest.fixture
def settings_of_calls(
    request: pytest.FixtureRequest, connection: Connection, application: str, own_asterisk: Asterisk
) -> Callable[..., Settings]:
    """Return the proxy's settings on a bus; takes the URL of Asterisk's websocket, and groups."""

    def settings(bus: BusServer, websocket_url: str = "", **groups: Any) -> Settings:
        if connection == "inbound":
            url = websocket_url or own_asterisk.websocket_url
            return stage_settings(bus, own_asterisk, url, application, **groups)
        (port,) = request.getfixturevalue("balancer").targets
        return settings_for(
            bus,
            rest_url=f"http://{NOWHERE}",
            websocket_url=f"ws://{NOWHERE}/events",
            application=application,
            ari={"connection": "outbound", "listen": f"127.0.0.1:{port}"},
            command={"transport": "websocket"},
            **groups,
        )

    return settings


@pytest.fixture
async def stage(
    request: pytest.FixtureRequest,
    connection: Connection,
    settings_of_calls: Callable[..., Settings],
    own_asterisk: Asterisk,
    websocket_link: Link,
    bus_server: BusServer,
) -> AsyncIterator[Stage]:
    """The proxy's settings, with the websocket behind a link, and a client of the original's."""
    settings = settings_of_calls(bus_server, f"ws://127.0.0.1:{websocket_link.port}/ari/events")
    (application,) = settings.applications
    balancer = request.getfixturevalue("balancer") if connection == "outbound" else None
    async with bus_client(settings) as bus, asterisk_client(own_asterisk) as rest:
        client = LegacyClient(bus, application)
        await client.start()
        calls = Calls(rest, application, client)
        yield Stage(settings, bus, client, calls, balancer)


@asynccontextmanager
async def calls_over(
    link: Link,
    bus: BusServer,
    asterisk: Asterisk,
    settings_of_calls: Callable[..., Settings],
) -> AsyncIterator[Calls]:
    """Run the proxy behind a link to the bus, and an application straight on it."""
    link.start()
    try:
        settings = settings_of_calls(link)
        (application,) = settings.applications
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
