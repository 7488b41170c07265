"""Dialling from calls, and bridging: simulated, and on Asterisk 22."""

import asyncio

import pytest

from ari_proxy.client.call import Call
from ari_proxy.client.errors import Busy, CallEnded, DialFailed, NoAnswer, Rejected
from ari_proxy.client.events import ChannelTalkingStarted
from ari_proxy.client.legs.bridge import Bridge
from ari_proxy.client.legs.leg import Leg
from ari_proxy.protocol.ids import DialogId, token_of_dialog, token_of_object
from tests.support.memory_proxy import CallScene
from tests.support.memory_proxy import call_scene as running_call_scene
from tests.support.running import until
from tests.support.servers import Asterisk


def local(extension: str) -> str:
    return f"Local/{extension}@default/n"


async def others(call: Call) -> list[str]:
    """The channels that the call has dialled, without the other halves of Local ones."""
    channels = [channel.id for channel in await call.ari.channels.list()]
    own = token_of_dialog(DialogId(call.dialog_id))
    return [name for name in channels if token_of_object(name) == own]


async def until_alone(call: Call) -> None:
    async def is_alone() -> bool:
        return not await others(call)

    await until(is_alone)


async def until_in(room: Bridge, *parties: Call | Leg) -> None:
    """Wait until these are in a bridge, and nobody else: Asterisk may list one late."""

    async def are_in() -> bool:
        found = await parties[0].ari.bridges.get(room.id)
        return set(found.channels) == {party.channel_id for party in parties}

    await until(are_in)


async def test_first_that_answers_is_the_leg(call_scene: CallScene) -> None:
    async def handler(call: Call) -> tuple[str, list[str]]:
        leg = await call.dial([local("ring"), local("answer")], timeout=20, caller_id="100")

        async def is_only_leg() -> bool:
            return await others(call) == [leg.channel_id]

        await until(is_only_leg)
        played = await leg.play("sound:beep")
        await leg.hang_up()
        await leg.wait_ended()
        await until_alone(call)  # Asterisk may list a channel a moment longer.
        return leg.endpoint, [played.state]

    assert await call_scene.served(handler) == (local("answer"), ["done"])


async def test_busy_endpoint(call_scene: CallScene) -> None:
    async def handler(call: Call) -> None:
        await call.dial(local("busy"), timeout=20)

    with pytest.raises(Busy):
        await call_scene.served(handler)


async def test_nobody_answers(call_scene: CallScene) -> None:
    async def handler(call: Call) -> None:
        try:
            await call.dial([local("ring"), local("busy")], timeout=1, ring="ring")
        finally:
            await until_alone(call)

    with pytest.raises(NoAnswer):
        await call_scene.served(handler)


async def test_endpoint_that_there_is_not(call_scene: CallScene) -> None:
    async def handler(call: Call) -> None:
        await call.dial("")

    with pytest.raises(Rejected):
        await call_scene.served(handler)


async def test_leg_is_bridged_with_the_caller_before_it_answers(call_scene: CallScene) -> None:
    async def handler(call: Call) -> None:
        async def give_up() -> None:
            async def are_both_in() -> bool:
                both = {call.channel_id, *await others(call)}
                bridges = await call.ari.bridges.list()
                return len(both) > 1 and both in [{*bridge.channels} for bridge in bridges]

            await until(are_both_in)
            (name,) = await others(call)
            await call.ari.channels.hangup(name, reason="busy")

        async with asyncio.TaskGroup() as tasks:
            tasks.create_task(give_up())
            with pytest.raises(DialFailed):
                await call.dial(local("ring"), ring="early")
        await until_alone(call)

    await call_scene.served(handler)


@pytest.mark.parametrize("extension", ["answer", "busy", "ring"])
async def test_leg_that_is_heard_early_ends_as_any_other(
    call_scene: CallScene, extension: str
) -> None:
    async def handler(call: Call) -> str:
        seconds = 1 if extension == "ring" else 20
        leg = await call.dial(
            local(extension), ring="early", timeout=seconds, caller_id="Ann <100>"
        )
        return (await leg.play("sound:beep")).state

    if extension == "answer":
        assert await call_scene.served(handler) == "done"
    else:
        with pytest.raises(Busy if extension == "busy" else NoAnswer):
            await call_scene.served(handler)


async def test_caller_hears_what_is_sent_before_the_answer(asterisk_22: Asterisk) -> None:
    async def handler(call: Call) -> str:
        async def hear() -> str:
            heard = await call.wait_for(ChannelTalkingStarted)
            shown = await call.ari.channels.get(heard.channel_id)
            await call.ari.channels.hangup(heard.channel_id)
            return shown.state

        detecting = {"TALK_DETECT(set)": ""}
        async with asyncio.TaskGroup() as tasks:
            hearing = tasks.create_task(hear())
            with pytest.raises(DialFailed):
                await call.dial(local("early"), ring="early", variables=detecting)
        return hearing.result()

    async with running_call_scene(asterisk_22) as scene:
        assert await scene.served(handler) != "Up"


async def test_dial_that_is_cancelled_leaves_no_leg(call_scene: CallScene) -> None:
    async def handler(call: Call) -> None:
        try:
            async with asyncio.timeout(0.5):
                await call.dial([local("ring"), local("ring")], ring="moh")
        finally:
            await until_alone(call)

    with pytest.raises(TimeoutError):
        await call_scene.served(handler)


async def test_caller_who_hangs_up_while_it_rings(call_scene: CallScene) -> None:
    async def handler(call: Call) -> None:
        async def hang_up() -> None:
            async def rings() -> bool:
                return bool(await others(call))

            await until(rings)
            await call.hang_up()

        async with asyncio.TaskGroup() as tasks:
            tasks.create_task(hang_up())
            try:
                await call.dial(local("ring"))
            except CallEnded:
                await until_alone(call)
                return

    await call_scene.served(handler)


async def test_bridge_ends_with_whoever_leaves_and_takes_its_legs_along(
    call_scene: CallScene,
) -> None:
    async def handler(call: Call) -> bool:
        async with call.bridge(name="room") as room:
            leg = await call.dial(local("answer"))
            await room.add(call, leg)
            await until_in(room, call, leg)
            await leg.hang_up()
            leaver = await room.wait_for_leaver()
        await until_alone(call)
        return leaver is leg

    assert await call_scene.served(handler)


async def test_caller_who_leaves_a_bridge_ends_its_legs(call_scene: CallScene) -> None:
    async def handler(call: Call) -> bool:
        async with call.bridge() as room:
            await room.add(call, await call.dial(local("answer")))
            await call.hang_up()
            leaver = await room.wait_for_leaver()
        await until_alone(call)
        return leaver is call

    assert await call_scene.served(handler)


async def test_held_member_comes_back(call_scene: CallScene) -> None:
    async def handler(call: Call) -> int:
        async with call.bridge() as room:
            leg: Leg = await call.dial(local("answer"))
            await room.add(call, leg)
            await room.hold(leg)
            await until_in(room, call)
            await room.unhold(leg)
            await until_in(room, call, leg)
            return len(room.members)

    assert await call_scene.served(handler) == 2


async def test_leg_that_has_gone_can_not_be_bridged(call_scene: CallScene) -> None:
    async def handler(call: Call) -> None:
        async with call.bridge() as room:
            leg = await call.dial(local("answer"))
            await call.ari.channels.hangup(leg.channel_id)
            await until_alone(call)  # Asterisk bridges one whose hang-up is under way.
            await room.add(leg)

    with pytest.raises(CallEnded):
        await call_scene.served(handler)


async def test_music_and_hold_last_for_a_while(call_scene: CallScene) -> None:
    async def handler(call: Call) -> None:
        await call.answer()
        async with call.music():
            await call.hold()
            await call.unhold()
        await call.hang_up("normal")
        with pytest.raises(CallEnded):
            await call.play("sound:beep")

    await call_scene.served(handler)


async def test_leave_goes_on_in_the_dialplan_with_variables(call_scene: CallScene) -> None:
    async def handler(call: Call) -> str:
        await call.leave("default", "answer", 1, variables={"LANG": "de"})
        await until(lambda: call.is_over)
        found = await call.ari.channels.get_variable(call.channel_id, "LANG")
        return found.value

    assert await call_scene.served(handler) == "de"


async def test_bridge_is_recorded(call_scene: CallScene) -> None:
    async def handler(call: Call) -> list[str]:
        name = f"bridges/{call.id}"
        async with call.bridge(record=name) as room:
            leg = await call.dial(local("answer"))
            await room.add(call, leg)
            assert room.recording is not None
            await call.play("sound:beep")
        finished = await room.recording
        stored = await call.ari.recordings.get_stored(name)
        await finished.delete()
        return [stored.name.replace(call.id, "x"), finished.state]

    assert await call_scene.served(handler) == ["bridges/x", "done"]


async def test_recording_of_a_bridge_is_kept_when_all_have_left(call_scene: CallScene) -> None:
    async def handler(call: Call) -> str:
        name = f"bridges/{call.id}"
        async with call.bridge(record=name) as room:
            leg = await call.dial(local("answer"))
            await room.add(leg)
            await leg.hang_up()
            await room.wait_empty()
        assert room.recording is not None
        finished = await room.recording
        await finished.delete()
        return finished.state

    assert await call_scene.served(handler) == "done"


async def test_bridge_of_another_test_does_not_count(call_scene: CallScene) -> None:
    """Tests share an Asterisk."""
    answer = await call_scene.rest.request("POST", "/bridges?bridgeId=of-another-test")
    assert answer.status == 200
    await call_scene.note_foreign_bridges()
    try:
        await call_scene.until_nothing_is_left()
    finally:
        await call_scene.rest.request("DELETE", "/bridges/of-another-test")
