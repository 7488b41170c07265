"""Putting a call through."""

import asyncio
from collections.abc import Callable
from contextlib import suppress

import pytest

from ari_proxy.client.errors import (
    Busy,
    CallEnded,
    InvalidParameters,
    NotAccepted,
    NotTransferred,
    RequestFailed,
)
from ari_proxy.client.legs.leg import Leg
from tests.support.client_events import channel, event, playback
from tests.support.scripted_call import Request, ScriptedCall

AGENT = "PJSIP/200"
#: Does something when the agent is asked.
Reaction = Callable[[ScriptedCall, str], None]


@pytest.mark.parametrize("ring", ["early", "rign"])
async def test_what_can_not_be_heard_is_refused_before_anything_is_asked(ring: str) -> None:
    call = ScriptedCall()
    with pytest.raises(ValueError, match=f"ring='{ring}'"):
        await call.call.transfer(AGENT, attended=True, ring=ring)
    assert call.requests == []


@pytest.fixture
async def scripted() -> ScriptedCall:
    """A call whose agent answers at once, and is asked."""
    scripted = ScriptedCall()
    scripted.on("POST /channels", lambda request: answer(scripted, request))
    scripted.on("DELETE /playbacks/", lambda request: stop(scripted, request))
    return scripted


def answer(scripted: ScriptedCall, request: Request) -> None:
    if "channelId" in request.parameters:
        name = request.parameters["channelId"]
        scripted.send(event("StasisStart", args=[], channel=channel(name)))


def stop(scripted: ScriptedCall, request: Request) -> None:
    scripted.send(playback("PlaybackFinished", request.path.rpartition("/")[2], "done"))


def when_asked(scripted: ScriptedCall, react: Reaction) -> None:
    """Have something happen each time that the agent is asked."""

    def play(request: Request) -> None:
        name = request.path.split("/")[2]
        if name != "c":
            asyncio.get_running_loop().call_soon(react, scripted, name)

    scripted.on("POST /channels/arip-", play)


def press(digit: str) -> Reaction:
    def react(scripted: ScriptedCall, name: str) -> None:
        pressed = {"digit": digit, "duration_ms": 100, "channel": channel(name)}
        scripted.send(event("ChannelDtmfReceived", **pressed))

    return react


def end(scripted: ScriptedCall, name: str) -> None:
    scripted.send(event("StasisEnd", channel=channel(name)))


def end_caller(scripted: ScriptedCall, _: str) -> None:
    scripted.hang_up()


def finish_playing(scripted: ScriptedCall, _: str) -> None:
    asked = [request for request in scripted.requests if request.path.endswith("/play")]
    scripted.send(playback("PlaybackFinished", asked[-1].parameters["playbackId"], "done"))


def hung_up(scripted: ScriptedCall) -> list[str]:
    return [name for name in scripted.names if name.startswith("DELETE /channels/arip-")]


async def transfer(scripted: ScriptedCall, **options: object) -> Leg:
    wanted: dict[str, object] = {"accept": "1", "accept_seconds": 5.0, **options}
    return await scripted.call.transfer(AGENT, attended=True, **wanted)  # type: ignore[call-overload,no-any-return]  # of any options


async def test_agent_who_accepts_talks_to_the_caller(scripted: ScriptedCall) -> None:
    when_asked(scripted, press("1"))
    async with asyncio.TaskGroup() as tasks:
        talking = tasks.create_task(transfer(scripted, announce="sound:sales"))
        await scripted.requested("POST /bridges/arip-", 2)
        leg = scripted.requests[-2].parameters["channel"]
        end(scripted, leg)

    room = scripted.requests[0].parameters["bridgeId"]
    kinds = [name.replace(leg, "x").replace(room, "b") for name in scripted.names]
    assert kinds == [
        "POST /bridges",
        "POST /channels/c/moh",
        "POST /channels",
        "POST /channels/x/play",
        f"DELETE /playbacks/{scripted.requests[3].parameters['playbackId']}",
        "DELETE /channels/c/moh",
        "POST /bridges/b/addChannel",
        "POST /bridges/b/addChannel",
        "DELETE /bridges/b",
    ]
    assert scripted.requests[3].parameters["media"] == "sound:sales"
    assert (talking.result().channel_id, talking.result().endpoint) == (leg, AGENT)
    assert not scripted.call.is_over


async def test_what_to_press_is_told_by_default(scripted: ScriptedCall) -> None:
    when_asked(scripted, press("3"))
    with pytest.raises(NotAccepted):
        await transfer(scripted, accept="12")
    asked = next(request for request in scripted.requests if request.path.endswith("/play"))
    assert asked.parameters["media"] == "sound:vm-press,digits:1"


@pytest.mark.parametrize(
    ("react", "why"),
    [(press("2"), "declined"), (end, "hung_up"), (finish_playing, "silent")],
    ids=["declined", "hung up", "silent"],
)
async def test_agent_who_does_not_accept(scripted: ScriptedCall, react: Reaction, why: str) -> None:
    when_asked(scripted, react)
    with pytest.raises(NotAccepted) as caught:
        await transfer(scripted, accept_seconds=0.01 if why == "silent" else 5.0)

    assert (caught.value.why, caught.value.endpoints) == (why, (AGENT,))
    assert len(hung_up(scripted)) == (0 if why == "hung_up" else 1)
    assert "DELETE /channels/c/moh" in scripted.names
    assert scripted.names[-1].startswith("DELETE /bridges/")
    assert not scripted.call.is_over


async def test_agent_who_is_busy_is_not_asked(scripted: ScriptedCall) -> None:
    def refuse(request: Request) -> None:
        if "channelId" in request.parameters:
            name = request.parameters["channelId"]
            scripted.send(event("ChannelDestroyed", cause=17, cause_txt="", channel=channel(name)))

    scripted = ScriptedCall()
    scripted.on("POST /channels", refuse)
    with pytest.raises(Busy):
        await transfer(scripted)
    assert not any(name.endswith("/play") for name in scripted.names)


async def test_agent_who_hangs_up_when_he_has_accepted(scripted: ScriptedCall) -> None:
    when_asked(scripted, press("1"))
    scripted.answer("POST /bridges/", 400, {"message": "Channel not found"})
    scripted.on("DELETE /channels/c/moh", lambda _: end(scripted, placed(scripted)))
    with pytest.raises(NotAccepted, match="not accepted"):
        await transfer(scripted)


def placed(scripted: ScriptedCall) -> str:
    return next(r.parameters["channelId"] for r in scripted.requests if r.name == "POST /channels")


async def test_caller_who_hangs_up_while_the_agent_is_asked(scripted: ScriptedCall) -> None:
    when_asked(scripted, end_caller)
    with pytest.raises(CallEnded) as caught:
        await transfer(scripted)

    assert caught.value.who == "peer"
    assert len(hung_up(scripted)) == 1
    assert "DELETE /channels/c/moh" not in scripted.names


async def test_caller_who_hangs_up_in_the_conversation(scripted: ScriptedCall) -> None:
    async with asyncio.TaskGroup() as tasks:

        async def talk() -> None:
            with pytest.raises(CallEnded):
                await transfer(scripted, accept="")

        tasks.create_task(talk())
        await scripted.requested("POST /bridges/arip-", 2)
        scripted.hang_up()

    assert len(hung_up(scripted)) == 1


async def test_leg_is_put_through_and_stays(scripted: ScriptedCall) -> None:
    leg = Leg(scripted.call, "x", AGENT)
    async with asyncio.TaskGroup() as tasks:
        tasks.create_task(transfer(scripted, of=leg, accept="", ring=None))
        await scripted.requested("POST /bridges/arip-", 2)
        other, put_through = (one.parameters["channel"] for one in scripted.requests[-2:])
        end(scripted, other)

    assert put_through == "x"
    assert "DELETE /channels/x" not in scripted.names


@pytest.mark.parametrize("turns", range(0, 60, 3))
async def test_nothing_is_left_wherever_it_is_cancelled(scripted: ScriptedCall, turns: int) -> None:
    when_asked(scripted, press("1"))
    running = asyncio.ensure_future(transfer(scripted))
    await asyncio.sleep(0)
    for _ in range(turns):
        await asyncio.sleep(0)

    running.cancel()
    with suppress(asyncio.CancelledError):
        await running

    was_placed = "POST /channels" in scripted.names
    assert len(hung_up(scripted)) == int(was_placed)
    created = [name for name in scripted.names if name.startswith("DELETE /bridges/")]
    assert len(created) == 1
    music = [name for name in scripted.names if name.endswith("/channels/c/moh")]
    assert len(music) in {0, 2}


async def test_phone_does_a_blind_transfer(scripted: ScriptedCall) -> None:
    scripted.on("POST /channels/c/redirect", end_caller_when_asked(scripted))
    await scripted.call.transfer(AGENT)

    (request,) = scripted.requests
    assert request.parameters == {"endpoint": AGENT}
    assert scripted.call.is_over


def end_caller_when_asked(scripted: ScriptedCall) -> Callable[[Request], None]:
    return lambda _: scripted.hang_up()


async def test_phone_that_does_not_transfer(scripted: ScriptedCall) -> None:
    leg = Leg(scripted.call, "x", AGENT)
    with pytest.raises(NotTransferred, match="not within"):
        await scripted.call.transfer(AGENT, timeout=0.01)
    with pytest.raises(NotTransferred):
        await scripted.call.transfer(AGENT, of=leg, timeout=0.01)
    assert scripted.names == ["POST /channels/c/redirect", "POST /channels/x/redirect"]


async def test_technology_that_can_not_transfer(scripted: ScriptedCall) -> None:
    scripted.answer("POST /channels/c/redirect", 422, {"message": "no"})
    with pytest.raises(InvalidParameters):
        await scripted.call.transfer(AGENT)
    with pytest.raises(ValueError, match="one endpoint"):
        await scripted.call.transfer([AGENT])  # type: ignore[call-overload]  # what it refuses


async def test_bridge_that_asterisk_refuses_dials_nobody(scripted: ScriptedCall) -> None:
    scripted.answer("POST /bridges", 500, {"message": "no"})
    with pytest.raises(RequestFailed):
        await transfer(scripted)
    assert "POST /channels" not in scripted.names
