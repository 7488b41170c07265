"""Keeping what is known of a call's channels true."""

import asyncio
from typing import Any

import pytest

from ari_proxy.client.errors import CallEnded
from ari_proxy.client.legs.leg import Leg
from ari_proxy.client.state_keeping import state_kept
from tests.support.application import until
from tests.support.client_events import channel, event
from tests.support.scripted_call import Request, ScriptedCall

GAP = event("ProxyGap", reason="websocket_lost")
VARIABLES = "GET /channels/c/variables"
TIMEOUT = {"message": "x", "error": "ari_proxy.timeout", "sent": True}


@pytest.fixture
async def scripted() -> ScriptedCall:
    return ScriptedCall()


def begin(scripted: ScriptedCall, **fields: Any) -> None:
    scripted.send(event("StasisStart", args=["a"], channel={**channel("c", "Ring"), **fields}))


def set_variable(scripted: ScriptedCall, name: str, value: str) -> None:
    scripted.send(event("ChannelVarset", variable=name, value=value, channel=channel("c")))


async def test_state_is_known_when_the_block_begins(scripted: ScriptedCall) -> None:
    call = scripted.call
    asyncio.get_running_loop().call_soon(begin, scripted)

    async with state_kept(call):
        begun_with = (call.state, call.args, call.dialplan.context, call.language)

    assert begun_with == ("Ring", ("a",), "default", "en")
    assert scripted.names == []


async def test_channel_that_no_event_tells_of_is_read(scripted: ScriptedCall) -> None:
    scripted.answer("GET /channels/c", 200, channel("c", "Up"))

    async with state_kept(scripted.call, begin_seconds=0.001):
        assert scripted.call.state == "Up"


async def test_channel_that_can_not_be_read_keeps_nobody_waiting(scripted: ScriptedCall) -> None:
    scripted.answer("GET /channels/c", 504, TIMEOUT)

    async with state_kept(scripted.call, begin_seconds=0.001):
        assert scripted.call.state == ""

    assert scripted.names == ["GET /channels/c"]


async def test_call_that_is_over_is_not_waited_for(scripted: ScriptedCall) -> None:
    scripted.send(event("ProxyDialogEnded", reason="channels_gone"))

    async with state_kept(scripted.call):
        assert scripted.call.is_over


async def test_all_is_read_again_after_a_gap(scripted: ScriptedCall) -> None:
    call = scripted.call
    leg = Leg(call, "x", "PJSIP/a")
    begin(scripted)
    set_variable(scripted, "PIN", "1")
    set_variable(scripted, "GONE", "1")
    scripted.send(event("ChannelStateChange", channel=channel("x", "Ringing")))
    scripted.answer("GET /channels/c", 200, channel("c", "Up"))
    scripted.answer("GET /channels/x", 200, channel("x", "Up"))
    scripted.answer(VARIABLES, 200, {"variables": {"PIN": "2"}})

    async with state_kept(call):
        assert (call.state, leg.state, leg.variables) == ("Up", "Ringing", {})
        scripted.send(GAP)
        await until(lambda: not call.tracked_channels.uncertain)

    assert (call.state, call.args, call.variables) == ("Up", ("a",), {"PIN": "2"})
    assert leg.state == "Up"
    assert (await scripted.requested(VARIABLES)).parameters == {"variables": "GONE,PIN"}


async def test_variable_that_is_no_more_is_forgotten(scripted: ScriptedCall) -> None:
    """Asterisk refuses to tell several if there is one of them no more."""
    begin(scripted)
    set_variable(scripted, "PIN", "1")
    set_variable(scripted, "GONE", "2")

    def tell(request: Request) -> tuple[int, Any]:
        if request.parameters.get("variable") == "PIN":
            return 200, {"value": "3"}
        return 404, {"message": "Provided variable was not found"}

    scripted.answer("GET /channels/c", 200, channel("c", "Up"))
    scripted.answer_with("GET /channels/c/variable", tell)

    async with state_kept(scripted.call):
        scripted.send(GAP)
        await until(lambda: not scripted.call.tracked_channels.uncertain)

    assert scripted.call.variables == {"PIN": "3"}


async def test_channel_that_is_gone_is_not_asked_for_again(scripted: ScriptedCall) -> None:
    begin(scripted)
    scripted.answer("GET /channels/c", 404, {"message": "Channel not found"})

    async with state_kept(scripted.call):
        scripted.send(GAP)
        await until(lambda: not scripted.call.tracked_channels.uncertain)

    assert scripted.call.state == "Ring"
    assert scripted.names == ["GET /channels/c"]


async def test_reading_is_tried_again_until_asterisk_answers(scripted: ScriptedCall) -> None:
    begin(scripted)
    scripted.answer("GET /channels/c", 504, TIMEOUT)

    async with state_kept(scripted.call, retry_seconds=0.001):
        scripted.send(GAP)
        await scripted.requested("GET /channels/c", 3)
        scripted.answer("GET /channels/", 200, channel("c", "Up"))
        await until(lambda: scripted.call.state == "Up")


async def test_what_the_block_raises_is_raised(scripted: ScriptedCall) -> None:
    begin(scripted)
    with pytest.raises(CallEnded):
        async with state_kept(scripted.call):
            raise CallEnded("1", "peer")
    assert not scripted.call._listeners._listeners


async def test_block_can_be_cancelled_while_it_reads(scripted: ScriptedCall) -> None:
    begin(scripted)
    scripted.ignore("GET /channels/c")

    async def block() -> None:
        async with state_kept(scripted.call):
            scripted.send(GAP)
            await asyncio.Event().wait()

    running = asyncio.ensure_future(block())
    await scripted.requested("GET /channels/c")
    running.cancel()
    await asyncio.wait([running])

    assert running.cancelled()


async def test_channel_that_can_not_be_read_hinders_no_other(scripted: ScriptedCall) -> None:
    leg = Leg(scripted.call, "x", "PJSIP/a")
    begin(scripted)
    scripted.send(event("ChannelStateChange", channel=channel("x", "Ringing")))
    scripted.answer("GET /channels/c", 403, {"message": "no", "error": "ari_proxy.not_allowed"})
    scripted.answer("GET /channels/x", 200, channel("x", "Up"))

    async with state_kept(scripted.call):
        scripted.send(GAP)
        await until(lambda: leg.state == "Up")

    assert scripted.names.count("GET /channels/c") == 1


async def test_all_is_read_once_more_after_a_gap_while_it_is_read(scripted: ScriptedCall) -> None:
    begin(scripted)
    states = ["Ring", "Up"]

    def tell(request: Request) -> tuple[int, Any]:
        del request
        state = states.pop(0)
        if states:
            scripted.send(GAP)  # Asterisk had answered before it.
        return 200, channel("c", state)

    scripted.answer_with("GET /channels/c", tell)

    async with state_kept(scripted.call):
        scripted.send(GAP)
        await until(lambda: scripted.call.state == "Up")
