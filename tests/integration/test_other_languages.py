"""The examples in other languages serve calls of the simulator, whose callers press digits."""

import asyncio
import re
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Final

import pytest
from aiohttp import web
from aiohttp.typedefs import Handler

from ari_proxy.bus.listeners import has_listener
from ari_proxy.protocol import messages
from ari_proxy.settings.load import Settings
from ari_proxy.simulator.server import Simulator
from tests.support import documented_rights, examples
from tests.support.examples import Application
from tests.support.foreign import foreign_client
from tests.support.link import Link
from tests.support.running import bus_client, running_proxy, settings_for, until
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

    def __init__(self, simulator: Simulator, settings: Settings, operations: list[str]) -> None:
        self.settings = settings
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
async def callers_of(bus: BusServer) -> AsyncIterator[Callers]:
    """Run the proxy and a simulated Asterisk around a block."""
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
            ingest={"queue_grace_seconds": 0},
        )
        try:
            async with running_proxy(settings):
                await until(lambda: "demo" in simulator._sockets)
                yield Callers(simulator, settings, operations)
        finally:
            await runner.cleanup()


async def serve_a_call(callers: Callers, application: Application) -> str:
    """Return the dialog of a call that an example has served."""
    channel = callers.place("dtmf-12#")
    await application.until_written(": digits 12\n")

    assert callers.operations == [
        f"POST {channel}/answer: 204",
        f"POST {channel}/play: 201",
        f"DELETE {channel}: 204",
    ]
    assert callers.left_over == []
    (dialog,) = re.findall(r"served (\S+): digits 12$", application.output, re.MULTILINE)
    return str(dialog)


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
        bus_client(callers.settings, documented_rights.SPY) as spy,
    ):
        dialog = await serve_a_call(callers, application)

        async def is_left() -> bool:
            return not await has_listener(spy, f"events_{dialog}", PROBE)

        await until(is_left)


async def test_example_on_rabbitmq_serves_a_call_and_its_queues_go(
    rabbitmq_link: Link, tmp_path: Path
) -> None:
    async with (
        callers_of(rabbitmq_link) as callers,
        examples.running("node-rabbitmq", rabbitmq_link, tmp_path) as application,
        foreign_client(rabbitmq_link.url) as client,
    ):
        dialog = await serve_a_call(callers, application)

        async def are_gone() -> bool:
            kinds = ("events", "commands", "responses")
            return not any([await client.depth(f"{kind}_{dialog}") for kind in kinds])

        await until(are_gone)


@pytest.mark.parametrize("name", ON_NATS)
async def test_example_at_its_limit_declines(
    name: str, nats_server: NatsServer, tmp_path: Path
) -> None:
    replies: list[bytes] = []
    async with (
        callers_of(nats_server) as callers,
        bus_client(callers.settings, documented_rights.SPY) as spy,
        examples.running(name, nats_server, tmp_path, limit=1) as application,
    ):
        await spy.subscribe("_INBOX.>", lambda message: replies.append(message.payload))
        first = callers.place("100")
        await callers.until_asked(f"POST {first}/play: 201")
        second = callers.place("dtmf-7#")
        await until(lambda: any(b"decline" in reply for reply in replies))
        assert f"POST {second}/answer: 204" not in callers.operations

        await callers.hang_up(first)
        await application.until_written(": digits 7\n")
        assert application.output.count("served ") == 2
        assert callers.left_over == []


async def test_example_on_rabbitmq_at_its_limit_gives_a_call_back(
    rabbitmq_link: Link, tmp_path: Path
) -> None:
    async with (
        callers_of(rabbitmq_link) as callers,
        examples.running("node-rabbitmq", rabbitmq_link, tmp_path, limit=1) as full,
    ):
        first = callers.place("100")
        await callers.until_asked(f"POST {first}/play: 201")
        second = callers.place("dtmf-7#")
        (tmp_path / "free").mkdir()
        async with examples.running("node-rabbitmq", rabbitmq_link, tmp_path / "free") as free:
            await free.until_written(": digits 7\n")

        assert f"POST {second}/answer: 204" in callers.operations
        assert "served" not in full.output
        await callers.hang_up(first)
        await full.until_written(": digits \n")


@pytest.mark.parametrize("name", examples.EXAMPLES)
async def test_example_ends_when_its_calls_are_over(
    name: str, request: pytest.FixtureRequest, tmp_path: Path
) -> None:
    is_on_nats = name in ON_NATS
    bus: BusServer = request.getfixturevalue("nats_server" if is_on_nats else "rabbitmq_link")
    async with callers_of(bus) as callers, examples.running(name, bus, tmp_path) as application:
        channel = callers.place("100")
        await callers.until_asked(f"POST {channel}/play: 201")
        application.terminate()
        await callers.hang_up(channel)

        assert await application.ended() == examples.EXAMPLES[name].status, application.output
        assert application.output.count("served ") == 1
