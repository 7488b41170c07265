"""Playing to calls, asking them for digits and recording them: simulated, and on Asterisk 22."""

from datetime import date

import pytest

from ari_proxy.client.call import Call
from ari_proxy.client.errors import CallEnded, NotFound, NotPlayed
from ari_proxy.client.events import ChannelDtmfReceived, PlaybackStarted
from tests.support.memory_proxy import CallScene
from tests.support.running import until

#: A caller who presses digits a while after the answer; `w` is half a second.
PRESSES_12 = "dtmf-ww12"


async def test_play_ends_with_the_last_of_several(call_scene: CallScene) -> None:
    async def handler(call: Call) -> tuple[str, str]:
        played = await call.play(["sound:beep", "sound:digits/1"])
        return played.state, played.media_uri

    assert await call_scene.served(handler) == ("done", "sound:digits/1")


async def test_missing_sound_is_an_error(call_scene: CallScene) -> None:
    async def handler(call: Call) -> None:
        await call.play("sound:no-such-sound")

    with pytest.raises(NotPlayed, match="sound:no-such-sound"):
        await call_scene.served(handler)


@pytest.mark.parametrize("what", [42, "12*#", "AB1", date(2026, 11, 28), date(1905, 1, 1)])
async def test_what_is_said_is_what_asterisk_can_play(
    call_scene: CallScene, what: int | str | date
) -> None:
    async def handler(call: Call) -> str:
        return (await call.say(what)).state

    assert await call_scene.served(handler) == "done"


async def test_digit_interrupts_a_playback_that_is_repeated(call_scene: CallScene) -> None:
    async def handler(call: Call) -> str:
        return (await call.play("sound:tt-monkeys", repeat=None, until="2")).digit

    assert await call_scene.served(handler, PRESSES_12) == "2"


async def test_second_playback_waits_for_the_first(call_scene: CallScene) -> None:
    async def handler(call: Call) -> list[str]:
        first = await call.start_playing("sound:tt-monkeys")
        second = await call.start_playing("sound:beep")
        await until(lambda: first.state == "playing")
        states = [second.state]
        await first.stop()
        await second
        return [*states, (await first).state, second.state]

    assert await call_scene.served(handler) == ["queued", "done", "done"]


async def test_caller_who_hangs_up_ends_what_is_awaited(call_scene: CallScene) -> None:
    async def handler(call: Call) -> None:
        playing = await call.start_playing("sound:tt-monkeys")
        await until(lambda: playing.state == "playing")
        await call.ari.channels.hangup(call.channel_id)
        await call.prompt([], digits=1)
        await playing

    with pytest.raises(CallEnded):
        await call_scene.served(handler)


async def test_prompt_gets_digits_during_and_after_the_question(call_scene: CallScene) -> None:
    async def handler(call: Call) -> str | None:
        return await call.prompt("sound:tt-monkeys", digits=2)

    assert await call_scene.served(handler, PRESSES_12) == "12"


async def test_prompt_asks_again_after_wrong_digits(call_scene: CallScene) -> None:
    async def handler(call: Call) -> tuple[str | None, list[str]]:
        heard: list[str] = []

        def note(event: object) -> None:
            if isinstance(event, PlaybackStarted):
                heard.append(event.playback.media_uri)

        with call.following(note):
            digits = await call.prompt(
                "sound:tt-monkeys", digits=1, choices="34", invalid="sound:beep"
            )
        return digits, heard

    digits, heard = await call_scene.served(handler, "dtmf-ww1wwww3")

    assert digits == "3"
    assert heard == ["sound:tt-monkeys", "sound:beep", "sound:tt-monkeys"]


async def test_prompt_without_a_caller_who_presses_ends(call_scene: CallScene) -> None:
    async def handler(call: Call) -> str | None:
        return await call.prompt("sound:beep", tries=2, first_digit=0.1)

    assert await call_scene.served(handler) is None


async def test_record_ends_with_the_digit(call_scene: CallScene) -> None:
    name = f"{call_scene.application}/message"

    async def handler(call: Call) -> list[str]:
        message = await call.record(name, beep=True, end="#", max_seconds=20)
        stored = await call.ari.recordings.get_stored(name)
        await message.delete()
        with pytest.raises(NotFound):
            await message.delete()
        return [message.state, stored.name]

    assert await call_scene.served(handler, "dtmf-wwww#") == ["done", name]


async def test_recording_is_stopped_or_cancelled(call_scene: CallScene) -> None:
    name = f"{call_scene.application}-kept"

    async def handler(call: Call) -> list[str]:
        kept = await call.start_recording(name, end="")
        await until(lambda: kept.state == "recording")
        await kept.stop()
        await kept
        other = await call.start_recording(name + "-not", end="")
        # Asterisk has answered before it records; in between it may refuse to cancel (500).
        await until(lambda: other.state == "recording")
        await other.cancel()
        with pytest.raises(NotFound):
            await call.ari.recordings.get_stored(name + "-not")
        await kept.delete()
        return [kept.state, other.state]

    assert await call_scene.served(handler) == ["done", "canceled"]


async def test_call_that_ends_ends_the_recording_which_is_kept(call_scene: CallScene) -> None:
    name = f"{call_scene.application}-kept"

    async def handler(call: Call) -> str:
        recording = await call.start_recording(name)
        await call.ari.channels.hangup(call.channel_id)
        await recording
        await recording.delete()
        return recording.state

    assert await call_scene.served(handler) == "done"


async def test_digits_are_events_as_ever(call_scene: CallScene) -> None:
    async def handler(call: Call) -> str:
        return (await call.wait_for(ChannelDtmfReceived, timeout=20)).digit

    assert await call_scene.served(handler, PRESSES_12) == "1"
