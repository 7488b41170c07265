"""The examples in other languages serve calls of the simulator, whose callers press digits."""

import asyncio
import re
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any, Final
from uuid import uuid4

import pytest
from aiohttp import web
from aiohttp.typedefs import Handler

from ari_proxy.bus.base import Bus
from ari_proxy.bus.listeners import has_listener
from ari_proxy.protocol import messages
from ari_proxy.simulator.server import Simulator
from tests.support import documented_rights, examples
from tests.support.examples import Application
from tests.support.foreign import ForeignClient, foreign_client
from tests.support.link import Link
from tests.support.running import TIMEOUT, bus_client, running_proxy, settings_for, until
from tests.support.servers import PASSWORD, BusServer, NatsServer

ON_NATS: Final = ("go", "node", "java")
#: What an application that has left a dialog does not get.
PROBE: Final = messages.encode(
    messages.Event(
        server_id="server-1",
        timestamp="2026-01-01T00:00:00Z",
        type="ProxyProbe",
        ari_body='{"type":"ProxyProbe"}',
        dialog_id="",
        sequence=0,
    )
)


class Callers:
    """Calls of the simulator, and what their application asks for."""

    def __init__(self, simulator: Simulator, operations: list[str], bus: Bus) -> None:
        self._bus = bus
        self._exchange = simulator.exchange
        self._media = simulator.exchange.media
        #: Operations on channels with their statuses, like `POST 1.2/answer: 204`.
        self.operations = operations

    def place(self, extension: str) -> str:
        """Call the application from an extension, and return the channel."""
        asked = {"endpoint": f"Local/{extension}@default", "app": "demo"}
        return self._exchange.originate("", asked).id

    async def until_asked(self, operation: str) -> None:
        await until(lambda: operation in self.operations)

    def dialog_of(self, channel: str) -> str:
        """Return the dialog of a channel whose application has been told of it."""
        return self._exchange.channels[channel].variables["ARI_PROXY_DIALOG"]

    async def announce(self, dialog: str, channel: str) -> None:
        """Send an AppStart, as ingest does, and have the bus take it."""
        start = messages.AppStart("demo", dialog, "server-1", channel)
        self._bus.publish("demo", messages.encode(start))
        await self._bus.flush(timeout_seconds=TIMEOUT)

    async def until_left(self, dialog: str) -> None:
        """Wait until nobody listens to a dialog on NATS."""

        async def is_left() -> bool:
            return not await has_listener(self._bus, f"events_{dialog}", PROBE)

        await until(is_left)

    async def hang_up(self, channel: str) -> None:
        await self._exchange.hang_up(channel)

    @property
    def left_over(self) -> list[str]:
        """What no call has any more."""
        kinds = (self._exchange.channels, self._exchange.bridges, self._media.playbacks)
        return [name for kind in kinds for name in kind]


def noting(simulator: Simulator, operations: list[str]) -> web.Application:
    """Return the simulator's, which writes down what is done with channels."""

    @web.middleware
    async def noted(request: web.Request, handler: Handler) -> web.StreamResponse:
        answer = await handler(request)
        if found := re.fullmatch(r"/ari/channels/([^/]+(?:/answer|/play|))", request.path):
            operations.append(f"{request.method} {found[1]}: {answer.status}")
        return answer

    application = simulator.application()
    application.middlewares.insert(0, noted)
    return application


@asynccontextmanager
async def callers_of(bus: BusServer, **command: Any) -> AsyncIterator[Callers]:
    """Run the proxy and a simulated Asterisk around a block.

    Args:
        bus: of the proxy.
        command: settings of the commands.
    """
    async with asyncio.TaskGroup() as calls:
        simulator = Simulator(calls, user="ari", password=PASSWORD)
        operations: list[str] = []
        runner = web.AppRunner(noting(simulator, operations), shutdown_timeout=1)
        await runner.setup()
        await web.TCPSite(runner, "127.0.0.1", 0).start()
        where = f"127.0.0.1:{runner.addresses[0][1]}/ari"
        settings = settings_for(
            bus,
            rest_url=f"http://{where}",
            websocket_url=f"ws://{where}/events",
            application="demo",
            # An AppStart that nobody acknowledges shall not expire meanwhile.
            ingest={"queue_grace_seconds": 0, "listener_seconds": 600},
            command=command,
        )
        try:
            async with running_proxy(settings), bus_client(settings, documented_rights.SPY) as spy:
                await until(lambda: "demo" in simulator._sockets)
                yield Callers(simulator, operations, spy)
        finally:
            await runner.cleanup()


async def serve_a_call(callers: Callers, application: Application) -> str:
    """Return the dialog of a call that an example has served."""
    channel = callers.place("dtmf-12#")
    await application.until_written(": digits 12#\n")

    assert callers.operations == [
        f"POST {channel}/answer: 204",
        f"POST {channel}/play: 201",
        f"DELETE {channel}: 204",
    ]
    assert callers.left_over == []
    (dialog,) = re.findall(r"served (\S+): digits 12#$", application.output, re.MULTILINE)
    return str(dialog)


async def count_consumers(bus: BusServer, dialog: str) -> int:
    """Return how many consume the events of a dialog on RabbitMQ."""
    async with foreign_client(bus.url) as client:
        _, consumers = await client.depth(f"events_{dialog}") or (0, 0)
        return consumers


async def until_left_alone(client: ForeignClient, queue: str) -> None:
    """Wait until nobody consumes a queue."""

    async def is_left_alone() -> bool:
        depth = await client.depth(queue)
        return depth is not None and depth[1] == 0

    await until(is_left_alone)


@pytest.fixture(autouse=True)
def _built(request: pytest.FixtureRequest) -> None:
    """Skip here: within a task group nobody would see what is missing."""
    chosen = "name" in request.fixturenames
    examples.command(request.getfixturevalue("name") if chosen else "node-rabbitmq")


@pytest.mark.parametrize("name", ON_NATS)
async def test_example_on_nats_serves_a_call(
    name: str, nats_server: NatsServer, tmp_path: Path
) -> None:
    async with (
        callers_of(nats_server) as callers,
        examples.running(name, nats_server, tmp_path) as application,
    ):
        dialog = await serve_a_call(callers, application)
        await callers.until_left(dialog)


async def test_example_on_rabbitmq_serves_a_call_and_nothing_is_left_in_queues(
    rabbitmq_link: Link, tmp_path: Path
) -> None:
    async with callers_of(rabbitmq_link) as callers, foreign_client(rabbitmq_link.url) as client:
        async with examples.running("node-rabbitmq", rabbitmq_link, tmp_path) as application:
            dialog = await serve_a_call(callers, application)

        async def are_gone() -> bool:
            kinds = ("events", "commands", "responses")
            return not any([await client.depth(f"{kind}_{dialog}") for kind in kinds])

        await until(are_gone)
        # What it has not acknowledged comes back into the queue as it leaves.
        await until_left_alone(client, "demo")
        assert await client.depth("demo") == (0, 0)


@pytest.fixture
def bus_of_example(request: pytest.FixtureRequest, name: str) -> BusServer:
    """The bus of the example `name`."""
    fixture = "nats_server" if name in ON_NATS else "rabbitmq_link"
    bus: BusServer = request.getfixturevalue(fixture)
    return bus


@pytest.mark.parametrize("name", examples.EXAMPLES)
async def test_example_serves_calls_side_by_side_and_each_once(
    name: str, bus_of_example: BusServer, tmp_path: Path
) -> None:
    async with (
        callers_of(bus_of_example) as callers,
        examples.running(name, bus_of_example, tmp_path) as application,
    ):
        first = callers.place("100")
        await callers.until_asked(f"POST {first}/play: 201")
        dialog = callers.dialog_of(first)
        await callers.announce(dialog, first)
        second = callers.place("dtmf-7#")
        await application.until_written(": digits 7#\n")
        if name not in ON_NATS:
            assert await count_consumers(bus_of_example, dialog) == 1

        await callers.hang_up(first)
        await application.until_written(": digits \n")
        if name in ON_NATS:
            await callers.until_left(dialog)
        assert application.output.count(dialog) == 1
        assert callers.operations == [
            *(f"POST {first}/answer: 204", f"POST {first}/play: 201"),
            *(f"POST {second}/answer: 204", f"POST {second}/play: 201", f"DELETE {second}: 204"),
        ]


@pytest.mark.parametrize("name", examples.EXAMPLES)
async def test_example_leaves_a_call_that_it_cannot_serve_and_goes_on(
    name: str, bus_of_example: BusServer, tmp_path: Path
) -> None:
    async with (
        callers_of(bus_of_example, deny=["POST /channels/*/play"]) as callers,
        examples.running(name, bus_of_example, tmp_path) as application,
    ):
        for _ in range(2):
            channel = callers.place("100")
            await callers.until_asked(f"POST {channel}/answer: 204")
            await application.until_written(f"left {callers.dialog_of(channel)}")
        assert application.output.count("ari_proxy.policy") == 2


async def test_example_on_rabbitmq_outlives_a_call_that_is_gone(
    rabbitmq_link: Link, tmp_path: Path
) -> None:
    async with (
        callers_of(rabbitmq_link) as callers,
        examples.running("node-rabbitmq", rabbitmq_link, tmp_path) as application,
    ):
        gone = str(uuid4())
        await callers.announce(gone, "gone")
        await application.until_written(f"left {gone}")
        await serve_a_call(callers, application)
