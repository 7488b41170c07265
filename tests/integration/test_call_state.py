"""What a handler knows of its channels without asking: simulated, and on Asterisk 22."""

import json

from ari_proxy.bus.base import Message
from ari_proxy.client.call import Call
from ari_proxy.client.events import ChannelDtmfReceived, ChannelVarset, StasisEnd
from ari_proxy.client.state_keeping import state_kept
from tests.support.memory_proxy import CallScene
from tests.support.running import until

ANSWER = "Local/answer@default/n"


def gap(call: Call) -> None:
    """Have the call get a ProxyGap, as ingest sends it."""
    body = {"type": "ProxyGap", "application": call.application, "reason": "websocket_lost"}
    body["timestamp"] = "2026-11-23T09:34:47.436+0000"
    event = {"server_id": "server-1", "timestamp": "", "type": "ProxyGap"}
    event |= {"ari_body": json.dumps(body), "dialog_id": call.dialog_id}
    call.take_event(Message("events", json.dumps(event).encode()))


async def test_call_is_known_by_its_events(call_scene: CallScene) -> None:
    async def handler(call: Call) -> None:
        async with state_kept(call):
            place = call.dialplan
            assert (call.state, place.app_name) == ("Up", "Stasis")
            assert place.app_data == call.application
            assert (call.language, call.args) == ("en", ())
            await call.ari.channels.set_variable(call.channel_id, "PIN", value="12")
            await until(lambda: call.variables.get("PIN") == "12")

    await call_scene.served(handler)


async def test_state_is_read_again_after_a_gap(call_scene: CallScene) -> None:
    async def handler(call: Call) -> None:
        async with state_kept(call):
            leg = await call.dial(ANSWER)
            await call.ari.channels.set_variable(call.channel_id, "PIN", value="1,2")
            await until(lambda: call.variables.get("PIN") == "1,2")
            gap(call)
            assert set(call.tracked_channels.uncertain) == {call._known, leg._known}
            await until(lambda: not call.tracked_channels.uncertain)
            assert (call.state, leg.state, call.variables["PIN"]) == ("Up", "Up", "1,2")

    await call_scene.served(handler)


async def test_leg_has_its_own_events(call_scene: CallScene) -> None:
    async def handler(call: Call) -> list[str]:
        leg = await call.dial("Local/dtmf-12@default/n")
        pressed = await leg.wait_for(ChannelDtmfReceived, where=lambda event: event.digit == "2")
        assert pressed.channel_id == leg.channel_id
        await leg.ari.channels.set_variable(leg.channel_id, "PIN", value="12")
        await call.ari.channels.set_variable(call.channel_id, "PIN", value="34")
        await leg.hang_up()
        heard = [event async for event in leg.events()]
        assert isinstance(heard[-1], StasisEnd)
        assert (leg.state, leg.variables.get("PIN")) == ("Up", "12")
        return [
            event.value
            for event in heard
            if isinstance(event, ChannelVarset) and event.variable == "PIN"
        ]

    assert await call_scene.served(handler) == ["12"]


async def test_bridge_is_empty_when_all_have_left(call_scene: CallScene) -> None:
    async def handler(call: Call) -> None:
        async with call.bridge() as room:
            leg = await call.dial(ANSWER)
            await room.add(leg)
            await leg.hang_up()
            await room.wait_empty()
            assert room.members == []

    await call_scene.served(handler)
