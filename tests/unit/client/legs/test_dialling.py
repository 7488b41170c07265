"""Dialling for a call."""

import asyncio
from contextlib import suppress

import pytest

from ari_proxy.client.errors import Busy, CallEnded, InvalidParameters, NoAnswer, Rejected
from ari_proxy.client.legs.dialling import Dialling, DialOptions
from ari_proxy.client.legs.leg import Leg
from tests.support.client_events import channel, event
from tests.support.scripted_call import Request, ScriptedCall

PLACE = "POST /channels"
ENDPOINTS = ["PJSIP/a", "PJSIP/b"]


@pytest.fixture
async def scripted() -> ScriptedCall:
    return ScriptedCall()


def answer(scripted: ScriptedCall, request: Request) -> None:
    name = request.parameters["channelId"]
    scripted.send(event("StasisStart", args=[], channel=channel(name)))


def end(scripted: ScriptedCall, request: Request, cause: int) -> None:
    name = request.parameters["channelId"]
    scripted.send(event("ChannelDestroyed", cause=cause, cause_txt="", channel=channel(name)))


def hung_up(scripted: ScriptedCall) -> list[tuple[str, str]]:
    return [
        (request.path.rpartition("/")[2], request.parameters.get("reason", ""))
        for request in scripted.requests
        if request.name.startswith("DELETE /channels/arip-")
    ]


async def test_leg_is_the_channel_that_answers(scripted: ScriptedCall) -> None:
    scripted.on(PLACE, lambda request: answer(scripted, request))

    leg = await scripted.call.dial("PJSIP/a", timeout=20, caller_id="Ann <100>")

    (request,) = scripted.requests
    name = request.parameters["channelId"]
    assert request.parameters == {
        "endpoint": "PJSIP/a",
        "app": "demo",
        "callerId": "Ann <100>",
        "timeout": "25",
        "channelId": name,
    }
    assert (leg.channel_id, leg.endpoint, leg.is_over) == (name, "PJSIP/a", False)
    assert repr(leg) == f"Leg('PJSIP/a', channel_id='{name}')"


async def test_first_answer_wins_and_the_others_are_hung_up(scripted: ScriptedCall) -> None:
    async with asyncio.TaskGroup() as tasks:
        dialled = tasks.create_task(scripted.call.dial(ENDPOINTS))
        second = await scripted.requested(PLACE, 2)
        answer(scripted, second)
    assert dialled.result().endpoint == "PJSIP/b"
    assert hung_up(scripted) == [
        (scripted.requests[0].parameters["channelId"], "answered_elsewhere")
    ]


@pytest.mark.parametrize(("cause", "error"), [(17, Busy), (19, NoAnswer), (21, Rejected)])
async def test_end_of_all_is_an_error_by_its_cause(
    scripted: ScriptedCall, cause: int, error: type[Exception]
) -> None:
    scripted.on(PLACE, lambda request: end(scripted, request, cause))
    with pytest.raises(error):
        await scripted.call.dial(ENDPOINTS)
    assert hung_up(scripted) == []


async def test_endpoint_that_asterisk_refuses_does_not_count(scripted: ScriptedCall) -> None:
    scripted.answer(PLACE, 400, {"message": "Allocation failed"})
    with pytest.raises(Rejected) as raised:
        await scripted.call.dial("Nope/1")
    assert isinstance(raised.value.__cause__, InvalidParameters)
    assert hung_up(scripted) == []


async def test_nobody_answers_in_time(scripted: ScriptedCall) -> None:
    with pytest.raises(NoAnswer, match="PJSIP/a, PJSIP/b: nobody has answered in time"):
        await scripted.call.dial(ENDPOINTS, timeout=0.05)
    assert len(hung_up(scripted)) == 2


async def test_request_without_an_answer_is_hung_up(scripted: ScriptedCall) -> None:
    refusal = {"message": "no answer", "error": "ari_proxy.timeout", "sent": True}
    scripted.answer(PLACE, 504, refusal)
    with pytest.raises(Rejected):
        await scripted.call.dial("PJSIP/a")
    assert len(hung_up(scripted)) == 1


async def test_leg_that_answers_while_it_is_hung_up_is_not_the_one(scripted: ScriptedCall) -> None:
    refusal = {"message": "no answer", "error": "ari_proxy.timeout", "sent": True}
    scripted.answer(PLACE, 504, refusal)
    scripted.on(
        "DELETE /channels/arip-",
        lambda request: scripted.send(
            event("StasisStart", args=[], channel=channel(request.path.rpartition("/")[2]))
        ),
    )
    with pytest.raises(Rejected):
        await scripted.call.dial("PJSIP/a")
    assert len(hung_up(scripted)) == 1


async def test_caller_who_hangs_up_ends_all_legs(scripted: ScriptedCall) -> None:
    async with asyncio.TaskGroup() as tasks:

        async def dial() -> None:
            with pytest.raises(CallEnded):
                await scripted.call.dial(ENDPOINTS)

        tasks.create_task(dial())
        await scripted.requested(PLACE, 2)
        scripted.hang_up()
    assert len(hung_up(scripted)) == 2
    with pytest.raises(CallEnded):
        await scripted.call.dial(ENDPOINTS)
    assert scripted.names.count(PLACE) == 2
    assert not scripted.call._listeners._listeners


@pytest.mark.parametrize("turns", range(0, 12, 2))
async def test_cancelled_dial_hangs_up_all_legs_wherever_it_is(
    scripted: ScriptedCall, turns: int
) -> None:
    scripted.answer("GET /channels/", 200, channel("x", "Ringing"))
    dialling = asyncio.ensure_future(scripted.call.dial(ENDPOINTS))
    await asyncio.sleep(0)
    for _ in range(turns):
        await asyncio.sleep(0)

    dialling.cancel()
    with suppress(asyncio.CancelledError):
        await dialling

    placed = {one.parameters["channelId"] for one in scripted.requests if one.name == PLACE}
    assert {name for name, _ in hung_up(scripted)} == placed
    assert not scripted.call._listeners._listeners


async def test_dial_that_is_cancelled_after_the_answer_hangs_up_the_winner(
    scripted: ScriptedCall,
) -> None:
    scripted.ignore("DELETE /channels/arip-")
    dialling = asyncio.ensure_future(scripted.call.dial(ENDPOINTS))
    first, second = await scripted.requested(PLACE, 1), await scripted.requested(PLACE, 2)
    answer(scripted, first)
    await scripted.requested("DELETE /channels/arip-")  # The loser is being hung up.
    scripted.answer("DELETE /channels/arip-")

    dialling.cancel()
    with suppress(asyncio.CancelledError):
        await dialling

    names = {one.parameters["channelId"] for one in (first, second)}
    assert {name for name, _ in hung_up(scripted)} == names


async def test_channels_are_read_again_after_a_gap(scripted: ScriptedCall) -> None:
    async with asyncio.TaskGroup() as tasks:
        dialled = tasks.create_task(scripted.call.dial(ENDPOINTS))
        second = await scripted.requested(PLACE, 2)
        first, name = scripted.requests[0].parameters["channelId"], second.parameters["channelId"]
        scripted.answer(f"GET /channels/{first}", 404, {"message": "Channel not found"})
        scripted.answer(f"GET /channels/{name}", 200, channel(name))
        scripted.send(event("ProxyGap", reason="websocket_lost"))
    assert dialled.result().endpoint == "PJSIP/b"
    assert hung_up(scripted) == []


async def test_channels_are_read_when_nothing_has_come_for_long(scripted: ScriptedCall) -> None:
    refusal = {"message": "no answer", "error": "ari_proxy.timeout", "sent": True}
    scripted.answer("GET /channels/", 504, refusal)
    options = DialOptions(timeout=5)
    dialling = Dialling(scripted.call, ["PJSIP/a"], options, read_seconds=0.001)
    async with asyncio.TaskGroup() as tasks:
        dialled = tasks.create_task(dialling.leg())
        request = await scripted.requested(PLACE)
        await scripted.requested("GET /channels/", 2)
        answer(scripted, request)
    assert dialled.result().endpoint == "PJSIP/a"


@pytest.mark.parametrize(
    ("ring", "begin", "end_of_it"),
    [
        ("ring", "POST /channels/c/ring", "DELETE /channels/c/ring"),
        ("moh", "POST /channels/c/moh", "DELETE /channels/c/moh"),
        ("moh:jazz", "POST /channels/c/moh", "DELETE /channels/c/moh"),
        ("tone:ring", "POST /channels/c/play", "DELETE /playbacks/"),
    ],
)
async def test_caller_hears_something_meanwhile(
    scripted: ScriptedCall, ring: str, begin: str, end_of_it: str
) -> None:
    scripted.on(PLACE, lambda request: answer(scripted, request) if _is_leg(request) else None)

    await scripted.call.dial("PJSIP/a", ring=ring)

    heard, placed, ended = scripted.requests
    assert heard.name == begin
    assert placed.name == PLACE
    assert ended.name.startswith(end_of_it)
    assert heard.parameters.get("mohClass", "jazz") == "jazz"


def _is_leg(request: Request) -> bool:
    return "endpoint" in request.parameters


def test_nobody_can_not_be_dialled() -> None:
    with pytest.raises(ValueError, match="no endpoint"):
        asyncio.run(_dial_nobody())


async def _dial_nobody() -> None:
    await ScriptedCall().call.dial([])


async def test_leg_tells_its_end(scripted: ScriptedCall) -> None:
    scripted.on(PLACE, lambda request: answer(scripted, request))
    leg = await scripted.call.dial("PJSIP/a")
    async with asyncio.TaskGroup() as tasks:
        waiting = tasks.create_task(leg.wait_ended())
        await asyncio.sleep(0)
        scripted.send(event("ChannelHangupRequest", cause=16, channel=channel(leg.channel_id)))
        scripted.send(event("StasisEnd", channel=channel(leg.channel_id)))
    assert (waiting.result().who, waiting.result().cause) == ("peer", 16)
    assert (leg.is_over, scripted.call.is_over) == (True, False)
    with pytest.raises(CallEnded):
        await leg.play("sound:a")
    assert not scripted.call._listeners._listeners


async def test_leg_is_played_to_and_hung_up(scripted: ScriptedCall) -> None:
    leg = Leg(scripted.call, "x", "PJSIP/a")
    started = await leg.start_playing("sound:a")
    await leg.hang_up("busy")
    scripted.answer("DELETE /channels/x", 404, {"message": "Channel not found"})
    await leg.hang_up()
    assert scripted.names == ["POST /channels/x/play", "DELETE /channels/x", "DELETE /channels/x"]
    assert scripted.requests[1].parameters == {"reason": "busy"}
    assert not started.is_over
