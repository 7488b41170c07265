"""What a leg tells of its own channel."""

import asyncio

import pytest

from ari_proxy.client.errors import CallEnded
from ari_proxy.client.events import ChannelDtmfReceived, Event
from ari_proxy.client.legs.leg import Leg
from tests.support.client_events import channel, event, playback
from tests.support.scripted_call import ScriptedCall


@pytest.fixture
async def scripted() -> ScriptedCall:
    return ScriptedCall()


def press(digit: str, name: str) -> Event:
    return event("ChannelDtmfReceived", digit=digit, duration_ms=100, channel=channel(name))


async def test_leg_has_the_events_of_its_channel_alone(scripted: ScriptedCall) -> None:
    leg = Leg(scripted.call, "x", "PJSIP/a")
    for sent in (
        event("StasisStart", args=["a"], channel=channel("x")),
        press("1", "c"),
        press("2", "x"),
        playback("PlaybackStarted", "p", "playing"),
        event("ProxyGap", reason="websocket_lost"),
        event("StasisEnd", channel=channel("x")),
        press("3", "x"),
    ):
        scripted.send(sent)

    heard = [one.type async for one in leg.events()]

    assert heard == ["StasisStart", "ChannelDtmfReceived", "ProxyGap", "StasisEnd"]
    assert (leg.state, leg.args) == ("Up", ("a",))


async def test_leg_goes_on_as_the_channel_that_takes_its_place(scripted: ScriptedCall) -> None:
    leg = Leg(scripted.call, "x", "PJSIP/a")
    scripted.send(
        event(
            "StasisStart", args=["b"], channel=channel("new", "Ring"), replace_channel=channel("x")
        )
    )
    scripted.send(event("StasisEnd", channel=channel("x")))
    scripted.send(press("1", "new"))
    assert (leg.channel_id, leg.state, leg.args, leg.is_over) == ("new", "Up", ("b",), False)

    scripted.send(event("StasisEnd", channel=channel("new")))

    assert [one.type async for one in leg.events()][-2:] == ["ChannelDtmfReceived", "StasisEnd"]


async def test_leg_waits_for_an_event_of_its_channel(scripted: ScriptedCall) -> None:
    leg = Leg(scripted.call, "x", "PJSIP/a")
    async with asyncio.TaskGroup() as tasks:
        waiting = tasks.create_task(
            leg.wait_for(ChannelDtmfReceived, where=lambda found: found.digit != "1")
        )
        await asyncio.sleep(0)
        for sent in (press("2", "c"), press("1", "x"), press("3", "x")):
            scripted.send(sent)

    assert waiting.result().digit == "3"


async def test_wait_of_a_leg_ends_with_it(scripted: ScriptedCall) -> None:
    leg = Leg(scripted.call, "x", "PJSIP/a")
    with pytest.raises(TimeoutError):
        await leg.wait_for(ChannelDtmfReceived, timeout=0.001)

    async def wait() -> None:
        with pytest.raises(CallEnded):
            await leg.wait_for(ChannelDtmfReceived)

    async with asyncio.TaskGroup() as tasks:
        tasks.create_task(wait())
        await asyncio.sleep(0)
        scripted.send(event("StasisEnd", channel=channel("x")))

    with pytest.raises(CallEnded):
        await leg.wait_for(ChannelDtmfReceived)
    assert not scripted.call.is_over
