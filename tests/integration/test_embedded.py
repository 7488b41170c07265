"""An application without a bus: ari-proxy runs in it, before the simulator and Asterisk."""

import asyncio
import itertools
from collections.abc import AsyncIterator
from urllib.parse import urlencode, urlsplit

import pytest

from ari_proxy import App, Call
from ari_proxy.client.events import PlaybackFinished
from ari_proxy.simulator import server as simulator
from tests.support.calls import asterisk_client
from tests.support.running import until
from tests.support.servers import PASSWORD, Asterisk

_numbers = itertools.count()


@pytest.fixture
async def simulated() -> AsyncIterator[str]:
    """The address of a simulator."""
    stop = asyncio.Event()
    port: asyncio.Future[int] = asyncio.get_running_loop().create_future()
    async with asyncio.TaskGroup() as tasks:
        tasks.create_task(
            simulator.serve(stop, port=0, user="ari", password=PASSWORD, listening=port.set_result)
        )
        yield f"127.0.0.1:{await port}"
        stop.set()


async def serve_a_call(address: str) -> list[str]:
    """Serve a call to its end; what has happened."""
    seen: list[str] = []
    app = App(f"embedded{next(_numbers)}", f"ari://ari:{PASSWORD}@{address}")

    @app.call
    async def serve(call: Call) -> None:
        try:
            await call.ari.channels.answer(call.channel_id)
            await call.ari.channels.play(call.channel_id, media="sound:hello-world")
            async for event in call.events():
                seen.append(event.type)
                if isinstance(event, PlaybackFinished):
                    await call.ari.channels.hangup(call.channel_id)
        finally:
            seen.append("over" if call.is_over else "cancelled")

    async with app, asterisk_client(At(f"http://{address}/ari")) as rest:

        async def is_registered() -> bool:
            return (await rest.request("GET", f"/applications/{app.name}")).status == 200

        await until(is_registered)
        where = urlencode({"endpoint": "Local/answer@default/n", "app": app.name})
        assert (await rest.request("POST", f"/channels?{where}")).status == 200
        await until(lambda: seen and seen[-1] in {"over", "cancelled"})
    return seen


class At:
    def __init__(self, url: str) -> None:
        self.url = url


def assert_served(seen: list[str]) -> None:
    assert seen[0] == "StasisStart"
    assert seen.index("PlaybackStarted") < seen.index("PlaybackFinished")
    assert seen[-1] == "over"


async def test_call_of_the_simulator(simulated: str) -> None:
    assert_served(await serve_a_call(simulated))


async def test_call_of_asterisk(asterisk: Asterisk) -> None:
    assert_served(await serve_a_call(urlsplit(asterisk.url).netloc))
