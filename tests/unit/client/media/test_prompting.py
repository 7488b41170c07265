"""Asking a call for digits."""

import asyncio
from contextlib import suppress

import pytest

from ari_proxy.client.errors import CallEnded, NotPlayed
from tests.support.client_events import channel, event, playback
from tests.support.scripted_call import Request, ScriptedCall

PLAY = "POST /channels/c/play"


@pytest.fixture
async def scripted() -> ScriptedCall:
    return ScriptedCall()


def finish(scripted: ScriptedCall, request: Request) -> None:
    name = request.parameters["playbackId"]
    scripted.send(playback("PlaybackStarted", name, "playing"))
    scripted.send(playback("PlaybackFinished", name, "done"))


def stop(scripted: ScriptedCall, request: Request) -> None:
    """End a playback as Asterisk does when it is asked to."""
    name = request.path.rpartition("/")[2]
    scripted.send(playback("PlaybackFinished", name, "done"))


def played(scripted: ScriptedCall) -> list[str]:
    return [one.parameters["media"] for one in scripted.requests if one.name == PLAY]


async def test_digits_after_the_question(scripted: ScriptedCall) -> None:
    scripted.on(PLAY, lambda request: finish(scripted, request))
    async with asyncio.TaskGroup() as tasks:
        asked = tasks.create_task(scripted.call.prompt("sound:agent-pass", digits=4))
        await scripted.requested(PLAY)
        scripted.press("12")
        await asyncio.sleep(0)
        scripted.press("34")
    assert asked.result() == "1234"


async def test_digit_during_the_question_ends_it_and_counts(scripted: ScriptedCall) -> None:
    scripted.on("DELETE /playbacks/", lambda request: stop(scripted, request))
    async with asyncio.TaskGroup() as tasks:
        asked = tasks.create_task(scripted.call.prompt("sound:a", digits=2))
        await scripted.requested(PLAY)
        scripted.press("1")
        await scripted.requested("DELETE /playbacks/")
        scripted.press("2")
    assert asked.result() == "12"
    assert played(scripted) == ["sound:a"]


async def test_wrong_digits_are_refused_and_asked_for_again(scripted: ScriptedCall) -> None:
    scripted.on(PLAY, lambda request: finish(scripted, request))
    async with asyncio.TaskGroup() as tasks:
        asked = tasks.create_task(
            scripted.call.prompt("sound:a", choices="12", invalid="sound:no", tries=2)
        )
        await scripted.requested(PLAY)
        scripted.press("9")
        await scripted.requested(PLAY, 3)
        scripted.press("2")
    assert asked.result() == "2"
    assert played(scripted) == ["sound:a", "sound:no", "sound:a"]


async def test_silence_ends_after_all_tries(scripted: ScriptedCall) -> None:
    scripted.on(PLAY, lambda request: finish(scripted, request))

    assert await scripted.call.prompt("sound:a", tries=2, first_digit=0.001) is None

    assert played(scripted) == ["sound:a"] * 2


async def test_digits_end_with_time(scripted: ScriptedCall) -> None:
    scripted.on(PLAY, lambda request: finish(scripted, request))
    async with asyncio.TaskGroup() as tasks:
        asked = tasks.create_task(scripted.call.prompt("sound:a", inter_digit=0.001))
        await scripted.requested(PLAY)
        scripted.press("42")
    assert asked.result() == "42"


async def test_prompt_without_a_question_waits_at_once(scripted: ScriptedCall) -> None:
    async with asyncio.TaskGroup() as tasks:
        asked = tasks.create_task(scripted.call.prompt([], digits=1))
        await asyncio.sleep(0)
        scripted.press("7")
    assert asked.result() == "7"
    assert not scripted.names


async def test_question_ends_with_the_time_of_all_tries(scripted: ScriptedCall) -> None:
    assert await scripted.call.prompt("sound:a", overall=0.01) is None
    assert scripted.names[-1].startswith("DELETE /playbacks/")


async def test_digits_of_other_channels_do_not_count(scripted: ScriptedCall) -> None:
    scripted.on(PLAY, lambda request: finish(scripted, request))
    async with asyncio.TaskGroup() as tasks:
        asked = tasks.create_task(scripted.call.prompt("sound:a", digits=1))
        await scripted.requested(PLAY)
        scripted.send(
            event(
                "ChannelDtmfReceived",
                digit="1",
                duration_ms=100,
                channel=channel("other"),
            )
        )
        scripted.press("2")
    assert asked.result() == "2"


async def test_prompt_goes_on_after_a_gap(scripted: ScriptedCall) -> None:
    """The end of the question was lost: its state is read again."""
    scripted.answer("GET /playbacks/", 404, {"message": "Playback not found"})
    async with asyncio.TaskGroup() as tasks:
        asked = tasks.create_task(scripted.call.prompt("sound:a", digits=1))
        await scripted.requested(PLAY)
        scripted.send(event("ProxyGap", reason="websocket_lost"))
        await scripted.requested("GET /playbacks/")
        scripted.press("1")
    assert asked.result() == "1"


@pytest.mark.parametrize("is_playing", [True, False])
async def test_call_that_ends_ends_the_prompt(scripted: ScriptedCall, is_playing: bool) -> None:
    if not is_playing:
        scripted.on(PLAY, lambda request: finish(scripted, request))

    async def prompt() -> None:
        with pytest.raises(CallEnded):
            await scripted.call.prompt("sound:a", digits=1)

    async with asyncio.TaskGroup() as tasks:
        tasks.create_task(prompt())
        await scripted.requested(PLAY)
        for _ in range(5):
            await asyncio.sleep(0)
        scripted.hang_up()
    assert not scripted.call._listeners._listeners


async def test_question_that_can_not_be_played_is_an_error(scripted: ScriptedCall) -> None:
    def fail(request: Request) -> None:
        name = request.parameters["playbackId"]
        scripted.send(playback("PlaybackFinished", name, "failed"))

    scripted.on(PLAY, fail)
    with pytest.raises(NotPlayed):
        await scripted.call.prompt("sound:a", digits=1)


@pytest.mark.parametrize("is_playing", [True, False])
async def test_cancelled_prompt_leaves_nothing(scripted: ScriptedCall, is_playing: bool) -> None:
    if not is_playing:
        scripted.on(PLAY, lambda request: finish(scripted, request))
    asking = asyncio.ensure_future(scripted.call.prompt("sound:a", digits=1))
    await scripted.requested(PLAY)
    for _ in range(5):
        await asyncio.sleep(0)

    asking.cancel()
    with suppress(asyncio.CancelledError):
        await asking

    stops = [name for name in scripted.names if name.startswith("DELETE /playbacks/")]
    assert len(stops) == is_playing
    assert not scripted.call._listeners._listeners
