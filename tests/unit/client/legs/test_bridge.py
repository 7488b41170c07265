"""A bridge of a call."""

import asyncio
from contextlib import suppress

import pytest

from ari_proxy.client.errors import CallEnded, Conflict, RequestFailed
from ari_proxy.client.legs.bridge import Bridge
from ari_proxy.client.legs.leg import Leg
from tests.support.client_events import bridge, channel, event, recording
from tests.support.scripted_call import ScriptedCall


@pytest.fixture
async def scripted() -> ScriptedCall:
    return ScriptedCall()


def enter(scripted: ScriptedCall, room: Bridge, name: str) -> None:
    scripted.send(
        event("ChannelEnteredBridge", bridge=bridge(room.id, name), channel=channel(name))
    )


def leave(scripted: ScriptedCall, room: Bridge, name: str) -> None:
    scripted.send(event("ChannelLeftBridge", bridge=bridge(room.id), channel=channel(name)))


async def test_bridge_lasts_for_a_block_and_its_legs_with_it(scripted: ScriptedCall) -> None:
    leg = Leg(scripted.call, "x", "PJSIP/a")
    async with scripted.call.bridge(name="room") as room:
        await room.add(scripted.call, leg)
        assert room.members == [scripted.call, leg]
        assert repr(room).startswith(f"Bridge('{room.id}', members=[Call(")

    assert scripted.requests[0].parameters == {
        "type": "mixing",
        "bridgeId": room.id,
        "name": "room",
    }
    assert scripted.names[1:] == [
        f"POST /bridges/{room.id}/addChannel",
        f"POST /bridges/{room.id}/addChannel",
        f"DELETE /bridges/{room.id}",
        "DELETE /channels/x",
    ]


async def test_members_stay_whose_channels_are_replaced(scripted: ScriptedCall) -> None:
    leg = Leg(scripted.call, "x", "PJSIP/a")
    async with scripted.call.bridge() as room:
        await room.add(scripted.call, leg)
        for former, name in (("c", "c2"), ("x", "x2")):
            taken = {"channel": channel(name), "replace_channel": channel(former)}
            scripted.send(event("StasisStart", args=[], **taken))
            leave(scripted, room, former)
            enter(scripted, room, name)
            scripted.send(event("StasisEnd", channel=channel(former)))
        assert room.members == [scripted.call, leg]
        assert (scripted.call.channel_id, scripted.call.is_over) == ("c2", False)
        leave(scripted, room, "x2")
        assert await room.wait_for_leaver() is leg

    assert scripted.names[-1] == "DELETE /channels/x2"


async def test_bridge_is_recorded_for_the_block(scripted: ScriptedCall) -> None:
    async with scripted.call.bridge(record="calls/1") as room:
        assert room.recording is not None
        assert room.recording.name == "calls/1"

    path = f"/bridges/{room.id}"
    assert scripted.names[1:] == [
        f"POST {path}/record",
        "POST /recordings/live/calls%2F1/stop",
        f"DELETE {path}",
    ]
    assert scripted.requests[1].parameters["terminateOn"] == "none"
    scripted.send(recording("RecordingFinished", "calls/1", "done", duration=3))
    assert (await room.recording).seconds == 3
    assert not scripted.call._listeners._listeners


async def test_bridge_whose_recording_there_is_already(scripted: ScriptedCall) -> None:
    scripted.answer("POST /bridges/", 409, {"message": "exists"})
    with pytest.raises(Conflict):
        async with Bridge(scripted.call, record="calls/1"):
            pass
    assert scripted.names[-1].startswith("DELETE /bridges/")
    assert not scripted.call._listeners._listeners


async def test_leg_that_has_ended_is_not_hung_up(scripted: ScriptedCall) -> None:
    leg = Leg(scripted.call, "x", "PJSIP/a")
    async with scripted.call.bridge() as room:
        await room.add(leg)
        enter(scripted, room, "x")
        leave(scripted, room, "x")
        scripted.send(event("StasisEnd", channel=channel("x")))
        assert await room.wait_for_leaver() is leg
    assert scripted.names[-1] == f"DELETE /bridges/{room.id}"


async def test_caller_who_hangs_up_is_the_leaver(scripted: ScriptedCall) -> None:
    async with scripted.call.bridge() as room:
        await room.add(scripted.call)
        async with asyncio.TaskGroup() as tasks:
            waiting = tasks.create_task(room.wait_for_leaver())
            await asyncio.sleep(0)
            leave(scripted, room, "c")
            scripted.hang_up()
        assert waiting.result() is scripted.call
        with pytest.raises(CallEnded):
            await room.wait_for_leaver()


async def test_bridge_is_waited_for_until_it_is_empty(scripted: ScriptedCall) -> None:
    leg = Leg(scripted.call, "x", "PJSIP/a")
    async with scripted.call.bridge() as room:
        await room.wait_empty()
        await room.add(scripted.call, leg)
        async with asyncio.TaskGroup() as tasks:
            waiting = tasks.create_task(room.wait_empty())
            await asyncio.sleep(0)
            leave(scripted, room, "x")
            await asyncio.sleep(0)
            assert not waiting.done()
            leave(scripted, room, "c")
        assert waiting.done()


async def test_who_was_taken_out_is_no_leaver(scripted: ScriptedCall) -> None:
    leg = Leg(scripted.call, "x", "PJSIP/a")
    async with scripted.call.bridge() as room:
        await room.add(scripted.call, leg)
        scripted.on(f"POST /bridges/{room.id}/removeChannel", lambda _: leave(scripted, room, "x"))
        await room.hold(leg, "jazz")
        assert room.members == [scripted.call]
        await room.unhold(leg)
        assert set(room.members) == {scripted.call, leg}
        async with asyncio.TaskGroup() as tasks:
            waiting = tasks.create_task(room.wait_for_leaver())
            await asyncio.sleep(0)
            leave(scripted, room, "c")
        assert waiting.result() is scripted.call
    assert scripted.names[3:7] == [
        f"POST /bridges/{room.id}/removeChannel",
        "POST /channels/x/moh",
        "DELETE /channels/x/moh",
        f"POST /bridges/{room.id}/addChannel",
    ]


async def test_leg_that_has_left_before_can_not_be_added(scripted: ScriptedCall) -> None:
    leg = Leg(scripted.call, "x", "PJSIP/a")

    def end(_: object) -> None:
        scripted.send(event("StasisEnd", channel=channel("x")))

    async with scripted.call.bridge() as room:
        scripted.answer(f"POST /bridges/{room.id}", 400, {"message": "Channel not found"})
        async with asyncio.TaskGroup() as tasks:

            async def add() -> None:
                with pytest.raises(CallEnded):
                    await room.add(leg)

            tasks.create_task(add())
            await scripted.requested(f"POST /bridges/{room.id}")
            end(None)
        assert room.members == []


async def test_bridge_is_read_again_after_a_gap(scripted: ScriptedCall) -> None:
    leg = Leg(scripted.call, "x", "PJSIP/a")
    async with scripted.call.bridge() as room:
        await room.add(scripted.call, leg)
        scripted.answer(f"GET /bridges/{room.id}", 200, bridge(room.id, "c"))
        scripted.send(event("ProxyGap", reason="websocket_lost"))
        assert await room.wait_for_leaver() is leg


@pytest.mark.parametrize("status", [404, 504])
async def test_bridge_is_read_when_nothing_has_come_for_long(
    scripted: ScriptedCall, status: int
) -> None:
    async with Bridge(scripted.call, read_seconds=0.001) as room:
        await room.add(scripted.call)
        body = {"message": "x", "error": "ari_proxy.timeout", "sent": True}
        scripted.answer(f"GET /bridges/{room.id}", status, body)
        async with asyncio.TaskGroup() as tasks:
            waiting = tasks.create_task(room.wait_for_leaver())
            await scripted.requested(f"GET /bridges/{room.id}")
            leave(scripted, room, "c")
        assert waiting.result() is scripted.call


async def test_bridge_that_asterisk_refuses_is_an_error(scripted: ScriptedCall) -> None:
    scripted.answer("POST /bridges", 500, {"message": "no"})
    with pytest.raises(RequestFailed):
        async with scripted.call.bridge():
            pass
    assert not scripted.call._listeners._listeners


@pytest.mark.parametrize("turns", range(0, 30, 3))
async def test_nothing_is_left_wherever_the_block_is_cancelled(
    scripted: ScriptedCall, turns: int
) -> None:
    leg = Leg(scripted.call, "x", "PJSIP/a")

    async def block() -> None:
        async with scripted.call.bridge() as room:
            await room.add(scripted.call, leg)
            await room.wait_for_leaver()

    running = asyncio.ensure_future(block())
    await asyncio.sleep(0)
    for _ in range(turns):
        await asyncio.sleep(0)

    running.cancel()
    with suppress(asyncio.CancelledError):
        await running

    assert any(name.startswith("DELETE /bridges/arip-") for name in scripted.names)
    was_to_be_added = any(name.endswith("/addChannel") for name in scripted.names)
    assert ("DELETE /channels/x" in scripted.names) == was_to_be_added
