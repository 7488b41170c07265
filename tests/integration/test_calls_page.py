"""The handlers that docs/calls.md shows, simulated and on Asterisk 22."""

import asyncio
import re
from collections.abc import Awaitable, Callable
from typing import Any

import pytest

from ari_proxy.client.call import Call
from ari_proxy.client.events import ChannelEnteredBridge, PlaybackStarted
from ari_proxy.protocol.ids import token_of_object
from tests.support.coverage import ROOT
from tests.support.memory_proxy import CallScene

PAGE = (ROOT / "docs/calls.md").read_text()
PROGRAM = "".join(re.findall(r"```python\n(.*?)```", PAGE, re.DOTALL))
Handler = Callable[[Call], Awaitable[None]]


def documented(agents: str, name: str = "menu") -> Handler:
    """Return a handler of the page; `agents` are dialled instead of its endpoints."""
    program = PROGRAM.replace('"PJSIP/200", "PJSIP/201"', f'"{agents}"')
    program = program.replace('"PJSIP/200"', f'"{agents}"')
    names: dict[str, Any] = {}
    exec(program, names)  # noqa: S102  what the page shows
    handler: Handler = names[name]
    return handler


@pytest.mark.parametrize(
    ("presses", "agents", "last"),
    [
        ("dtmf-ww1", "Local/busy@default/n", "sound:vm-nobodyavail"),
        ("dtmf-ww2ww#ww#", "", "sound:vm-intro"),
    ],
    ids=["agents are busy", "voicemail"],
)
async def test_menu(call_scene: CallScene, presses: str, agents: str, last: str) -> None:
    heard: list[str] = []

    def note(event: object) -> None:
        if isinstance(event, PlaybackStarted):
            heard.append(event.playback.media_uri)

    async def handler(call: Call) -> None:
        with call.following(note):
            await documented(agents)(call)

    await call_scene.served(handler, presses)

    assert heard == ["sound:vm-options", last]


async def test_agent_who_does_not_take_a_transfer(call_scene: CallScene) -> None:
    async def handler(call: Call) -> list[str]:
        with call.following(note):
            await documented("Local/dtmf-wwww2wwww2@default/n", "to_sales")(call)
        return heard

    def note(event: object) -> None:
        if isinstance(event, PlaybackStarted):
            heard.append(event.playback.media_uri)

    heard: list[str] = []

    assert (await call_scene.served(handler))[-1] == "sound:vm-nobodyavail"


def is_agents(entered: ChannelEnteredBridge) -> bool:
    return token_of_object(entered.channel_id) is not None


async def test_agent_answers_and_hangs_up(call_scene: CallScene) -> None:
    async def handler(call: Call) -> bool:
        async def hang_up() -> None:
            entered = await call.wait_for(ChannelEnteredBridge, where=is_agents)
            await call.ari.channels.hangup(entered.channel_id)

        async with asyncio.TaskGroup() as tasks:
            tasks.create_task(hang_up())
            await documented("Local/answer@default/n")(call)
        return call.is_over

    assert await call_scene.served(handler, "dtmf-ww1") is False
