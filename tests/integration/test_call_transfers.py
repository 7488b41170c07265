"""Transfers: simulated, and on Asterisk 22; those that a phone does, with a phone (sipp)."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from urllib.parse import urlencode

import pytest

from ari_proxy.client.call import Call
from ari_proxy.client.errors import (
    Busy,
    CallEnded,
    InvalidParameters,
    NoAnswer,
    NotAccepted,
    NotTransferred,
)
from ari_proxy.client.events import ChannelEnteredBridge, PlaybackStarted, StasisStart
from ari_proxy.client.party import Party
from ari_proxy.protocol.ids import DialogId, token_of_dialog, token_of_object
from tests.support.memory_proxy import CallScene
from tests.support.memory_proxy import call_scene as running_call_scene
from tests.support.running import until
from tests.support.servers import Asterisk
from tests.support.sip_phone import sip_phone

#: Presses again and again: a machine that is held up may lose a digit.
ACCEPTING = "Local/dtmf-wwwwww1wwwww1wwwww1@default/n"
DECLINING = "Local/dtmf-wwwwww2wwwww2wwwww2@default/n"
SILENT = "Local/answer@default/n"


async def others(call: Call) -> list[str]:
    """The channels that the call has dialled, without the other halves of Local ones."""
    channels = [channel.id for channel in await call.ari.channels.list()]
    own = token_of_dialog(DialogId(call.dialog_id))
    return [name for name in channels if token_of_object(name) == own]


async def until_alone(call: Call) -> None:
    async def is_alone() -> bool:
        return not await others(call)

    await until(is_alone)


async def entered(call: Call, *, agents: bool) -> ChannelEnteredBridge:
    """Wait until the agent, or the caller, has entered a bridge."""

    def is_wanted(event: ChannelEnteredBridge) -> bool:
        return (token_of_object(event.channel_id) is not None) is agents

    return await call.wait_for(ChannelEnteredBridge, where=is_wanted)


async def test_agent_who_accepts_talks_to_the_caller(call_scene: CallScene) -> None:
    async def handler(call: Call) -> tuple[int, str, bool]:
        async def hang_up_agent() -> int:
            talking = (await entered(call, agents=False)).bridge.channels
            (agent,) = set(talking) - {call.channel_id}
            await call.ari.channels.hangup(agent)
            return len(talking)

        async with asyncio.TaskGroup() as tasks:
            hanging_up = tasks.create_task(hang_up_agent())
            leg = await call.transfer(ACCEPTING, attended=True, accept="1")
        played = await call.play("sound:beep")
        await until_alone(call)
        return hanging_up.result(), played.state, leg.endpoint == ACCEPTING

    assert await call_scene.served(handler) == (2, "done", True)


@pytest.mark.parametrize(
    ("endpoint", "why"),
    [(DECLINING, "declined"), (SILENT, "silent")],
    ids=["declined", "silent"],
)
async def test_agent_who_does_not_accept(call_scene: CallScene, endpoint: str, why: str) -> None:
    async def handler(call: Call) -> tuple[str, str]:
        seconds = 20 if why == "declined" else 1
        with pytest.raises(NotAccepted) as caught:
            await call.transfer(endpoint, attended=True, accept="1", accept_seconds=seconds)
        played = await call.play("sound:beep")
        await until_alone(call)
        return caught.value.why, played.state

    assert await call_scene.served(handler) == (why, "done")


async def test_agent_who_hangs_up_when_asked(call_scene: CallScene) -> None:
    async def handler(call: Call) -> str:
        def is_agent(event: StasisStart) -> bool:
            return event.channel_id != call.channel_id

        async def hang_up_agent() -> None:
            agent = await call.wait_for(StasisStart, where=is_agent)
            await call.wait_for(PlaybackStarted)
            await call.ari.channels.hangup(agent.channel_id)

        async with asyncio.TaskGroup() as tasks:
            tasks.create_task(hang_up_agent())
            with pytest.raises(NotAccepted) as caught:
                await call.transfer(SILENT, attended=True, accept="1")
        await until_alone(call)
        return caught.value.why

    assert await call_scene.served(handler) == "hung_up"


async def test_agent_who_is_not_reached(call_scene: CallScene) -> None:
    async def handler(call: Call) -> str:
        with pytest.raises(Busy):
            await call.transfer("Local/busy@default/n", attended=True, accept="1")
        with pytest.raises(NoAnswer):
            await call.transfer("Local/ring@default/n", attended=True, accept="1", timeout=1)
        await until_alone(call)
        return (await call.play("sound:beep")).state

    assert await call_scene.served(handler) == "done"


async def test_caller_who_hangs_up_while_the_agent_is_asked(call_scene: CallScene) -> None:
    async def handler(call: Call) -> None:
        async def hang_up() -> None:
            await call.wait_for(PlaybackStarted)
            await call.hang_up()

        async with asyncio.TaskGroup() as tasks:
            tasks.create_task(hang_up())
            with pytest.raises(CallEnded):
                await call.transfer(SILENT, attended=True, accept="1")
        await until_alone(call)

    await call_scene.served(handler)


async def test_caller_who_hangs_up_in_the_conversation(call_scene: CallScene) -> None:
    async def handler(call: Call) -> None:
        async def hang_up() -> None:
            await entered(call, agents=False)
            await call.hang_up()

        async with asyncio.TaskGroup() as tasks:
            tasks.create_task(hang_up())
            with pytest.raises(CallEnded):
                await call.transfer(SILENT, attended=True)
        await until_alone(call)

    await call_scene.served(handler)


async def test_agent_is_put_through_to_another_one(call_scene: CallScene) -> None:
    async def handler(call: Call) -> bool:
        async with call.bridge() as room:
            agent = await call.dial(SILENT)
            await room.add(call, agent)

            async def hang_up_other() -> None:
                def is_other(event: ChannelEnteredBridge) -> bool:
                    return event.channel_id not in {call.channel_id, agent.channel_id}

                other = await call.wait_for(ChannelEnteredBridge, where=is_other)

                async def are_both_in() -> bool:
                    found = await call.ari.bridges.get(other.bridge.id)
                    return set(found.channels) == {agent.channel_id, other.channel_id}

                await until(are_both_in)
                await call.ari.channels.hangup(other.channel_id)

            async with asyncio.TaskGroup() as tasks:
                tasks.create_task(hang_up_other())
                await call.transfer(SILENT, of=agent, attended=True)
            return agent.is_over

    assert await call_scene.served(handler) is False


async def test_technology_that_can_not_be_transferred_to(call_scene: CallScene) -> None:
    async def handler(call: Call) -> None:
        with pytest.raises(InvalidParameters, match="'PJSIP' does not match"):
            await call.transfer("PJSIP/200")
        with pytest.raises(NotTransferred):
            await call.transfer("Local/answer@default", timeout=1)

    await call_scene.served(handler)


@asynccontextmanager
async def phone_scene(asterisk: Asterisk) -> AsyncIterator[CallScene]:
    """A scene that the calls of phones come to; nothing of them is left then."""
    async with running_call_scene(asterisk) as scene:
        query = urlencode({"variable": "SIP_APP", "value": scene.application})
        await scene.rest.request("POST", f"/asterisk/variable?{query}")
        yield scene
        await scene.until_nothing_is_left()


@pytest.mark.parametrize("is_answered", [False, True], ids=["302", "REFER"])
async def test_phone_does_a_blind_transfer(asterisk_22: Asterisk, is_answered: bool) -> None:
    async def handler(call: Call) -> tuple[bool, int | None]:
        if is_answered:
            await call.answer()
            await call.play("sound:beep")  # The phone's ACK is to be there before.
        await call.transfer("PJSIP/sip:200@127.0.0.1")
        return call.is_over, call.end_error().tech_cause

    scenario = "redirected-up.xml" if is_answered else "redirected.xml"
    async with phone_scene(asterisk_22) as scene, scene.serving(handler) as served:
        with asterisk_22.sip_call(scenario, "1000"):
            result = await served.result()

    assert result == (True, None if is_answered else 302)


@pytest.mark.parametrize(
    ("endpoint", "told"),
    [("Local/{}@default/n", [100, 200]), ("Local/busy@default/n", [100, 603])],
    ids=["answered", "busy"],
)
async def test_phone_that_asks_for_a_transfer_is_told_how_it_went(
    asterisk_22: Asterisk, endpoint: str, told: list[int]
) -> None:
    async def handler(call: Call) -> tuple[str, bool, list[Party]]:
        async with call.bridge() as room:
            agent = await call.dial(f"PJSIP/sipp/{phone.uri}")
            await room.add(call, agent)
            async with agent.phone_transfers() as asked:
                await agent.ari.channels.send_dtmf(agent.channel_id, dtmf="1")
                transfer = await anext(asked)
                with suppress(Busy):
                    async with transfer:
                        await room.add(await call.dial(endpoint.format(transfer.target)))
            assert await room.wait_for_leaver() is agent
            return transfer.target, transfer.connected_id == call.channel_id, room.members

    async with (
        sip_phone(transferred_to="9999") as phone,
        running_call_scene(asterisk_22) as scene,
    ):
        target, is_callers, talking = await scene.served(handler)

    assert (target, is_callers, phone.told) == ("9999", True, told)
    assert len(talking) == (2 if told[-1] == 200 else 1)
