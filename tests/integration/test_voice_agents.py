"""The voice agents of examples/python, on Asterisk 22 with audio that comes back."""

import asyncio
import re
import wave
from collections.abc import AsyncIterator
from contextlib import AbstractAsyncContextManager
from typing import Any

import pytest

from ari_proxy.client.call import Call
from ari_proxy.client.errors import CallEnded
from ari_proxy.client.events import ChannelEnteredBridge
from tests.support.coverage import ROOT
from tests.support.media import LOUD, MediaAsterisk, OtherEnd, loudness, websocket_server
from tests.support.memory_proxy import call_scene
from tests.support.ports import free_port
from tests.support.python_examples import example

NAMES = ["voice_agent_websocket", "voice_agent_audiosocket"]


def agent(name: str, port: int) -> tuple[Any, AbstractAsyncContextManager[Any]]:
    """Return an example, and its media server at a port."""
    module = example(name)
    module.PORT = port
    return module, module.media_server()


def port_of(name: str, asterisk: MediaAsterisk) -> int:
    """Return where Asterisk connects to an agent."""
    return asterisk.agents_port if "websocket" in name else free_port()


async def comes_back(call: Call, asterisk: MediaAsterisk) -> None:
    """Return once something is heard that is sent to the caller."""
    name = f"heard-{call.id.replace('.', '-')}"
    async with call.snoop(spy="out") as ear:
        loudest = 0
        while loudest < LOUD:
            await ear.record(name, max_seconds=1, if_exists="overwrite")
            loudest = loudness(await asyncio.to_thread(samples, asterisk, name))


def samples(asterisk: MediaAsterisk, name: str) -> bytes:
    """Return the samples of a recording."""
    with wave.open(str(asterisk.recording(name))) as recorded:
        return bytes(recorded.readframes(recorded.getnframes()))


@pytest.mark.parametrize("name", NAMES)
async def test_caller_hears_the_echo(name: str, media_asterisk: MediaAsterisk) -> None:
    module, server = agent(name, port_of(name, media_asterisk))

    async def serve(call: Call) -> bool:
        async with asyncio.TaskGroup() as tasks:
            serving = tasks.create_task(module.talk(call))
            await comes_back(call, media_asterisk)
            is_over = call.is_over
            serving.cancel()
        return is_over

    async with server, call_scene(media_asterisk) as scene:
        assert await scene.served(serve, "talk") is False
    assert module.calls == {}


@pytest.mark.parametrize("name", NAMES)
async def test_agent_that_has_nothing_more_to_say_hangs_up(
    name: str, media_asterisk: MediaAsterisk
) -> None:
    module, server = agent(name, port_of(name, media_asterisk))

    async def speech(_: Call, heard: AsyncIterator[bytes]) -> AsyncIterator[bytes]:
        async for audio in heard:
            yield audio
            return

    module.speech = speech
    async with server, call_scene(media_asterisk) as scene:
        await scene.served(module.talk, "talk")
    assert module.calls == {}


@pytest.mark.parametrize("name", NAMES)
async def test_caller_who_hangs_up(name: str, media_asterisk: MediaAsterisk) -> None:
    module, server = agent(name, port_of(name, media_asterisk))

    async def serve(call: Call) -> None:
        entered = asyncio.create_task(call.wait_for(ChannelEnteredBridge, timeout=20))
        serving = asyncio.create_task(module.talk(call))
        await entered
        await call.hang_up()
        with pytest.raises(CallEnded):
            await serving

    async with server, call_scene(media_asterisk) as scene:
        await scene.served(serve, "talk")
    assert module.calls == {}


async def test_who_listens_in_is_in_no_bridge(media_asterisk: MediaAsterisk) -> None:
    """What docs/voice-agents.md shows of a transcription."""
    page = (ROOT / "docs/voice-agents.md").read_text()
    names: dict[str, Any] = {}
    exec("".join(re.findall(r"```python\n(.*?)```", page, re.DOTALL)), names)  # noqa: S102  what it shows
    end = OtherEnd()

    async def serve(call: Call) -> bool:
        async with asyncio.TaskGroup() as tasks:
            transcribing = tasks.create_task(names["transcribe"](call))
            await end.until_heard()
            bridges = [bridge.channels for bridge in await call.ari.bridges.list()]
            transcribing.cancel()
        return any(call.channel_id in channels for channels in bridges)

    server = websocket_server(end, media_asterisk.agents_port)
    async with server, call_scene(media_asterisk) as scene:
        assert await scene.served(serve, "talk") is False
