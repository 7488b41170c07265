"""The handlers that docs/calls.md shows, simulated and on Asterisk 22."""

import asyncio
import re
from collections.abc import Awaitable, Callable
from typing import Any

import pytest

from ari_proxy.client.call import Call
from ari_proxy.client.events import ChannelEnteredBridge, ChannelLeftBridge, PlaybackStarted
from ari_proxy.protocol.ids import token_of_object
from tests.support.coverage import ROOT
from tests.support.memory_proxy import CallScene
from tests.support.memory_proxy import call_scene as running_call_scene
from tests.support.servers import Asterisk
from tests.support.sip_phone import sip_phone

PAGE = (ROOT / "docs/calls.md").read_text()
PROGRAM = "".join(re.findall(r"```python\n(.*?)```", PAGE, re.DOTALL))
Handler = Callable[[Call], Awaitable[None]]


def documented(agents: str, name: str = "menu") -> Handler:
    """Return a handler of the page; `agents` are dialled instead of its endpoints."""
    program = PROGRAM.replace('"PJSIP/200", "PJSIP/201"', f'"{agents}"')
    program = program.replace('"PJSIP/200"', f'"{agents}"')
    program = program.replace("PJSIP/{transfer.target}", "Local/{transfer.target}@default/n")
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


async def test_agents_phone_transfers_the_caller(asterisk_22: Asterisk) -> None:
    async def handler(call: Call) -> list[str]:
        async def transfer() -> str:
            agent = await call.wait_for(ChannelEnteredBridge, where=is_agents)
            await call.ari.channels.send_dtmf(agent.channel_id, dtmf="1")
            other = await call.wait_for(ChannelEnteredBridge, where=is_agents)
            await call.wait_for(ChannelLeftBridge, where=lambda left: is_same(left, agent))
            await call.ari.channels.hangup(other.channel_id)
            return other.channel.name if other.channel else ""

        async with asyncio.TaskGroup() as tasks:
            transferring = tasks.create_task(transfer())
            await documented(f"PJSIP/sipp/{phone.uri}", "with_transfers")(call)
        return [transferring.result()[:10]]

    def is_same(left: ChannelLeftBridge, agent: ChannelEnteredBridge) -> bool:
        return left.channel_id == agent.channel_id

    async with sip_phone(transferred_to="9999") as phone, running_call_scene(asterisk_22) as scene:
        assert await scene.served(handler) == ["Local/9999"]

    assert phone.told == [100, 200]
