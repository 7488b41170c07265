"""Dialling an endpoint that the caller hears before it answers."""

import asyncio
from contextlib import suppress

import pytest

from ari_proxy.client.errors import Busy, CallEnded, NoAnswer, Rejected, RequestFailed
from ari_proxy.client.legs.leg import Leg
from tests.support.client_events import channel, event
from tests.support.scripted_call import Request, ScriptedCall

CREATE = "POST /channels/create"
DIAL = "POST /channels/arip-"


@pytest.fixture
async def scripted() -> ScriptedCall:
    return ScriptedCall()


def enter(scripted: ScriptedCall, request: Request) -> str:
    name = request.parameters["channelId"]
    scripted.send(event("StasisStart", args=[], channel=channel(name, "Down")))
    return name


async def dial(scripted: ScriptedCall, *, timeout: float = 20) -> Leg:
    return await scripted.call.dial(
        "PJSIP/a", ring="early", timeout=timeout, caller_id="Ann <100>", variables={"A": "1"}
    )


async def entered(scripted: ScriptedCall) -> str:
    """Have the endpoint's channel enter, and wait until it is dialled; return its id."""
    name = enter(scripted, await scripted.requested(CREATE))
    await scripted.requested(f"POST /channels/{name}/dial")
    return name


async def test_caller_hears_the_leg_before_it_answers(scripted: ScriptedCall) -> None:
    async with asyncio.TaskGroup() as tasks:
        dialling = tasks.create_task(dial(scripted))
        name = await entered(scripted)
        scripted.send(event("ChannelStateChange", channel=channel(name, "Ringing")))
        await asyncio.sleep(0)
        assert not dialling.done()
        scripted.send(event("ChannelStateChange", channel=channel(name, "Up")))

    bridge = scripted.requests[1].parameters["bridgeId"]
    assert dialling.result().channel_id == name
    assert [one.replace(name, "x").replace(bridge, "b") for one in scripted.names] == [
        "POST /channels/create",
        "POST /bridges",
        "POST /bridges/b/addChannel",
        "POST /channels/c/progress",
        "POST /bridges/b/addChannel",
        "POST /channels/x/dial",
        "DELETE /bridges/b",
    ]
    told: object = scripted.requests[0].parameters["variables"]
    ids = {"CALLERID(all)": "Ann <100>", "CONNECTEDLINE(all)": "Ann <100>"}
    assert told == {**ids, "A": "1"}


async def test_phone_that_knows_no_progress_hears_it_nevertheless(scripted: ScriptedCall) -> None:
    scripted.answer("POST /channels/c/progress", 404, {"message": "Resource not found"})
    async with asyncio.TaskGroup() as tasks:
        dialling = tasks.create_task(dial(scripted))
        name = await entered(scripted)
        scripted.send(event("ChannelStateChange", channel=channel(name, "Up")))
    assert dialling.result().endpoint == "PJSIP/a"


async def test_endpoint_that_is_busy(scripted: ScriptedCall) -> None:
    async with asyncio.TaskGroup() as tasks:

        async def fail() -> None:
            with pytest.raises(Busy):
                await dial(scripted)

        tasks.create_task(fail())
        name = await entered(scripted)
        scripted.send(event("StasisEnd", channel=channel(name, "Down")))
        scripted.send(
            event("ChannelDestroyed", cause=17, cause_txt="", channel=channel(name, "Down"))
        )
    assert scripted.names[-1].startswith("DELETE /bridges/")


@pytest.mark.parametrize("has_entered", [False, True])
async def test_endpoint_that_does_not_answer(scripted: ScriptedCall, has_entered: bool) -> None:
    if has_entered:
        scripted = ScriptedCall()
        scripted.on(CREATE, lambda request: enter_later(scripted, request))
    with pytest.raises(NoAnswer):
        await dial(scripted, timeout=0.05)
    assert [name for name in scripted.names if name.startswith("DELETE /channels/arip-")]
    assert any(name.endswith("/dial") for name in scripted.names) == has_entered


def enter_later(scripted: ScriptedCall, request: Request) -> None:
    asyncio.get_running_loop().call_soon(enter, scripted, request)


async def test_endpoint_that_asterisk_refuses(scripted: ScriptedCall) -> None:
    scripted = ScriptedCall()
    scripted.answer(CREATE, 400, {"message": "no"})
    with pytest.raises(Rejected):
        await dial(scripted)
    assert scripted.names == [CREATE]


async def test_bridge_that_asterisk_refuses_ends_the_leg(scripted: ScriptedCall) -> None:
    scripted.answer("POST /bridges", 500, {"message": "no"})

    async with asyncio.TaskGroup() as tasks:

        async def fail() -> None:
            with pytest.raises(RequestFailed):
                await dial(scripted)

        tasks.create_task(fail())
        name = enter(scripted, await scripted.requested(CREATE))
    assert f"DELETE /channels/{name}" in scripted.names


async def test_caller_who_hangs_up_ends_the_leg(scripted: ScriptedCall) -> None:
    async with asyncio.TaskGroup() as tasks:

        async def fail() -> None:
            with pytest.raises(CallEnded):
                await dial(scripted)

        tasks.create_task(fail())
        name = await entered(scripted)
        scripted.hang_up()
    assert f"DELETE /channels/{name}" in scripted.names


async def test_several_would_be_heard_at_once(scripted: ScriptedCall) -> None:
    with pytest.raises(ValueError, match="2 endpoints"):
        await scripted.call.dial(["PJSIP/a", "PJSIP/b"], ring="early")


@pytest.mark.parametrize("turns", range(0, 40, 2))
async def test_nothing_is_left_wherever_it_is_cancelled(turns: int) -> None:
    scripted = ScriptedCall()
    scripted.on(CREATE, lambda request: enter_later(scripted, request))
    running = asyncio.ensure_future(dial(scripted))
    await asyncio.sleep(0)
    for _ in range(turns):
        await asyncio.sleep(0)

    running.cancel()
    with suppress(asyncio.CancelledError):
        await running

    made = [name for name in scripted.names if name in {"POST /bridges", CREATE}]
    ended = [name for name in scripted.names if name.startswith("DELETE /")]
    assert len(made) == len(ended)
