"""Playing to a call: what is awaited, what interrupts, and what fails."""

import asyncio
from contextlib import suppress

import pytest

from ari_proxy.client.errors import CallEnded, Conflict, NotPlayed, OutcomeUnknown
from ari_proxy.client.media.playback import Playback
from ari_proxy.client.state_reader import READ_ATTEMPTS
from tests.support.client_events import channel, event, playback
from tests.support.scripted_call import Request, ScriptedCall

PLAY = "POST /channels/c/play"


@pytest.fixture
async def scripted() -> ScriptedCall:
    return ScriptedCall()


def finish(scripted: ScriptedCall, request: Request, state: str = "done") -> None:
    name = request.parameters["playbackId"]
    scripted.send(playback("PlaybackStarted", name, "playing"))
    scripted.send(playback("PlaybackFinished", name, state))


async def test_play_returns_when_the_playback_has_ended(scripted: ScriptedCall) -> None:
    async with asyncio.TaskGroup() as tasks:
        playing = tasks.create_task(scripted.call.play(["sound:a", "sound:b"], language="de"))
        request = await scripted.requested(PLAY)
        assert request.parameters["media"] == "sound:a,sound:b"
        assert request.parameters["lang"] == "de"
        scripted.send(playback("PlaybackStarted", request.parameters["playbackId"], "playing"))
        await asyncio.sleep(0)
        assert not playing.done()
        scripted.send(playback("PlaybackFinished", request.parameters["playbackId"], "done"))
    assert playing.result().is_over


async def test_its_id_names_the_dialog_so_that_no_event_needs_a_lookup(
    scripted: ScriptedCall,
) -> None:
    started = await scripted.call.start_playing("sound:a")
    assert started.id.startswith("arip-2g88jhgcnt8dm6c8-")
    assert repr(started) == f"Playback('{started.id}', state='queued')"


async def test_events_that_come_before_the_answer_are_not_missed(scripted: ScriptedCall) -> None:
    scripted.on(PLAY, lambda request: finish(scripted, request))

    played = await scripted.call.play("sound:a")

    assert (played.state, played.media_uri, played.digit) == ("done", "sound:a", "")


async def test_playback_that_fails_since_the_caller_hangs_up_is_no_error_of_its_own(
    scripted: ScriptedCall,
) -> None:
    def hang_up(request: Request) -> None:
        scripted.send(event("ChannelHangupRequest", cause=16, channel=channel("c")))
        finish(scripted, request, "failed")
        end = event("StasisEnd", channel=channel("c"))
        asyncio.get_running_loop().call_later(0.01, scripted.send, end)

    scripted.on(PLAY, hang_up)

    with pytest.raises(CallEnded) as caught:
        await scripted.call.play("sound:a")
    assert caught.value.who == "peer"


async def test_media_that_asterisk_can_not_play_are_an_error(scripted: ScriptedCall) -> None:
    scripted.on(PLAY, lambda request: finish(scripted, request, "failed"))

    with pytest.raises(NotPlayed, match="sound:a was not played: Asterisk can't play it"):
        await scripted.call.play("sound:a")


async def test_playback_that_does_not_begin_is_an_error_and_is_ended(
    scripted: ScriptedCall,
) -> None:
    scripted.answer(
        "GET /playbacks/",
        200,
        {"id": "p", "media_uri": "sound:a", "target_uri": "channel:c", "state": "queued"},
    )

    with pytest.raises(NotPlayed, match=r"it has not begun within 0\.01 s"):
        await scripted.call.play("sound:a", start_seconds=0.01)

    assert scripted.names[-1].startswith("DELETE /playbacks/arip-")


async def test_playback_whose_beginning_was_not_seen_has_begun(scripted: ScriptedCall) -> None:
    """Its state is asked for when nothing has come in time."""
    scripted.answer(
        "GET /playbacks/",
        200,
        {"id": "p", "media_uri": "sound:a", "target_uri": "channel:c", "state": "playing"},
    )
    async with asyncio.TaskGroup() as tasks:
        playing = tasks.create_task(scripted.call.play("sound:a", start_seconds=0.01))
        await scripted.requested("GET /playbacks/")
        finish(scripted, await scripted.requested(PLAY))
    assert playing.result().is_over


async def test_playback_behind_another_one_has_its_time_after_that(scripted: ScriptedCall) -> None:
    first = await scripted.call.start_playing("sound:a")
    scripted.send(playback("PlaybackStarted", first.id, "playing"))
    second = await scripted.call.start_playing("sound:b", start_seconds=0.01)
    async with asyncio.TaskGroup() as tasks:
        waiting = tasks.create_task(_awaited(second))
        with suppress(TimeoutError):
            async with asyncio.timeout(0.05):
                await waiting_for(scripted, "GET /playbacks/")
        assert scripted.names == [PLAY, PLAY]
        scripted.send(playback("PlaybackFinished", first.id, "done"))
        finish(scripted, scripted.requests[1])
    assert waiting.result().is_over


async def waiting_for(scripted: ScriptedCall, name: str) -> None:
    while not any(request.startswith(name) for request in scripted.names):
        await asyncio.sleep(0.001)


async def _awaited(one: Playback) -> Playback:
    return await one


async def test_digit_stops_it_and_is_told(scripted: ScriptedCall) -> None:
    async with asyncio.TaskGroup() as tasks:
        playing = tasks.create_task(scripted.call.play("sound:a", until="12", repeat=None))
        request = await scripted.requested(PLAY)
        name = request.parameters["playbackId"]
        scripted.send(playback("PlaybackStarted", name, "playing"))
        scripted.press("32")
        await scripted.requested(f"DELETE /playbacks/{name}")
        scripted.send(playback("PlaybackFinished", name, "done"))
    assert playing.result().digit == "2"
    assert scripted.names.count(PLAY) == 1


async def test_digit_that_comes_before_the_answer_stops_it(scripted: ScriptedCall) -> None:
    scripted.on(PLAY, lambda _: scripted.press("#"))
    scripted.answer("DELETE /playbacks/", 404, {"message": "Playback not found"})

    played = await scripted.call.play("sound:a", until="any")

    assert (played.digit, played.is_over) == ("#", True)


async def test_play_repeats(scripted: ScriptedCall) -> None:
    scripted.on(PLAY, lambda request: finish(scripted, request))

    await scripted.call.play("sound:a", repeat=3)

    assert scripted.names == [PLAY] * 3


async def test_nothing_is_played_no_times(scripted: ScriptedCall) -> None:
    with pytest.raises(ValueError, match="repeat is 0"):
        await scripted.call.play("sound:a", repeat=0)


async def test_say_plays_media_of_asterisk(scripted: ScriptedCall) -> None:
    scripted.on(PLAY, lambda request: finish(scripted, request))

    await scripted.call.say(42)

    assert scripted.requests[0].parameters["media"] == "number:42"


async def test_call_that_ends_ends_the_wait(scripted: ScriptedCall) -> None:
    scripted.on(PLAY, lambda _: scripted.hang_up())

    with pytest.raises(CallEnded):
        await scripted.call.play("sound:a")
    with pytest.raises(CallEnded):
        await scripted.call.play("sound:a")

    assert scripted.names == [PLAY]


async def test_refusal_since_the_call_has_ended_is_its_end(scripted: ScriptedCall) -> None:
    """Asterisk's answer may come before its event."""
    scripted.answer(PLAY, 404, {"message": "Channel not found"})
    async with asyncio.TaskGroup() as tasks:
        playing = tasks.create_task(_ended(scripted))
        await scripted.requested(PLAY)
        await asyncio.sleep(0)
        scripted.press("1")
        scripted.hang_up()
    assert playing.done()


async def _ended(scripted: ScriptedCall) -> None:
    with pytest.raises(CallEnded):
        await scripted.call.play("sound:a")


async def test_refusal_of_an_open_call_is_an_error(scripted: ScriptedCall) -> None:
    scripted.answer(PLAY, 409, {"message": "Channel not in a Stasis application"})
    with pytest.raises(Conflict):
        await scripted.call.play("sound:a")
    assert scripted.names == [PLAY]


async def test_state_is_read_again_after_a_gap(scripted: ScriptedCall) -> None:
    scripted.answer("GET /playbacks/", 404, {"message": "Playback not found"})
    async with asyncio.TaskGroup() as tasks:
        playing = tasks.create_task(scripted.call.play("sound:a"))
        await scripted.requested(PLAY)
        scripted.send(event("ProxyGap", reason="websocket_lost"))
    assert playing.result().is_over


async def test_state_that_can_not_be_read_is_asked_for_a_few_times(scripted: ScriptedCall) -> None:
    refusal = {"message": "no answer", "error": "ari_proxy.timeout", "sent": True}
    scripted.answer("GET /playbacks/", 504, refusal)
    started = Playback(scripted.call, "p", retry_seconds=0.001)
    scripted.send(event("ProxyGap", reason="websocket_lost"))

    with pytest.raises(OutcomeUnknown):
        await started

    assert len([name for name in scripted.names if name.startswith("GET")]) == READ_ATTEMPTS


@pytest.mark.parametrize("is_answered", [True, False])
async def test_cancelled_play_ends_the_playback(scripted: ScriptedCall, is_answered: bool) -> None:
    if not is_answered:
        scripted.ignore(PLAY)
    playing = asyncio.ensure_future(scripted.call.play("sound:a"))
    request = await scripted.requested(PLAY)
    for _ in range(5 if is_answered else 0):
        await asyncio.sleep(0)

    playing.cancel()
    with suppress(asyncio.CancelledError):
        await playing

    assert scripted.names[1:] == [f"DELETE /playbacks/{request.parameters['playbackId']}"]


async def test_playback_that_was_started_is_controlled(scripted: ScriptedCall) -> None:
    started = await scripted.call.start_playing("sound:a")
    path = f"/playbacks/{started.id}"

    await started.pause()
    await started.resume()
    await started.stop()

    assert [(one.name, one.parameters) for one in scripted.requests[1:]] == [
        (f"POST {path}/control", {"operation": "pause"}),
        (f"POST {path}/control", {"operation": "unpause"}),
        (f"DELETE {path}", {}),
    ]


async def test_nothing_follows_the_call_any_more_afterwards(scripted: ScriptedCall) -> None:
    scripted.on(PLAY, lambda request: finish(scripted, request))
    await scripted.call.play("sound:a", repeat=2, until="any")
    assert not scripted.call._listeners._listeners
