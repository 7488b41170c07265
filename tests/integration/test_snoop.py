"""Listening to calls: simulated, and on Asterisk 22.

A snoop that has ended leaves the application at once; Asterisk may list it until the channel ends
that it has heard.
"""

import asyncio
import json
from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from typing import Final

import pytest

from ari_proxy.client.call import Call
from ari_proxy.client.events import ChannelEnteredBridge, Event
from ari_proxy.client.external.snoop import Snoop
from tests.support.media import MediaAsterisk, loudness
from tests.support.memory_proxy import CallScene, call_scene
from tests.support.running import until

#: The caller speaks all the time.
TALK = "talk"
#: Bytes before the audio of a recording, and an amplitude that silence does not have.
WAV_HEADER: Final = 44
AUDIBLE: Final = 1_000


class Seen:
    """The events of a call."""

    def __init__(self) -> None:
        self._all: list[Event] = []

    def take(self, event: Event) -> None:
        self._all.append(event)

    def types(self, snoop: Snoop) -> list[str]:
        """Return the types of the events of a snoop's channel."""
        channels = [(json.loads(event.raw).get("channel") or {}, event.type) for event in self._all]
        return [name for channel, name in channels if channel.get("id") == snoop.channel_id]

    async def until_ended(self, snoop: Snoop) -> None:
        """Wait until a snoop has left the application."""
        await until(lambda: "StasisEnd" in self.types(snoop))


@contextmanager
def seen_of(call: Call) -> Iterator[Seen]:
    seen = Seen()
    with call.following(seen.take):
        yield seen


async def test_it_is_there_for_a_block(call_scene: CallScene) -> None:
    async def handler(call: Call) -> tuple[list[str], bool]:
        with seen_of(call) as seen:
            async with call.snoop(spy="both", whisper="out") as snoop:
                shown = await call.ari.channels.get(snoop.channel_id)
                assert shown.state == "Up"
            await seen.until_ended(snoop)
            return seen.types(snoop), call.is_over

    expected = ["StasisStart", "ChannelHangupRequest", "StasisEnd"]
    assert await call_scene.served(handler) == (expected, False)


async def test_it_records_and_plays(call_scene: CallScene) -> None:
    async def handler(call: Call) -> tuple[str, str]:
        async with call.snoop(spy="in", whisper="out") as snoop:
            playback = await snoop.play("sound:beep")
            name = f"snoop-{call_scene.application}"
            recording = await snoop.record(name, max_seconds=1)
        await recording.delete()
        return playback.state, recording.state

    assert await call_scene.served(handler, TALK) == ("done", "done")


async def test_it_ends_with_the_channel_that_it_hears(call_scene: CallScene) -> None:
    async def handler(call: Call) -> list[str]:
        leg = await call.dial(f"Local/{TALK}@default/n")
        with seen_of(call) as seen:
            async with leg.snoop(spy="in") as snoop:
                await leg.hang_up()
                await seen.until_ended(snoop)
            return seen.types(snoop)

    assert await call_scene.served(handler) == ["StasisStart", "StasisEnd"]


async def test_listener_who_is_cancelled(call_scene: CallScene) -> None:
    async def handler(call: Call) -> bool:
        snoop = call.snoop(spy="in")
        with seen_of(call) as seen:
            with pytest.raises(TimeoutError):
                async with snoop, asyncio.timeout(0.5):
                    await snoop.wait_ended()
            await seen.until_ended(snoop)
        return call.is_over

    assert await call_scene.served(handler) is False


async def test_caller_hears_an_endpoint_before_it_answers(media_asterisk: MediaAsterisk) -> None:
    async def handler(call: Call) -> str:
        name = f"early-{call.id.replace('.', '-')}"
        in_bridge = partial(call.wait_for, ChannelEnteredBridge, timeout=20)
        async with call.snoop(spy="out") as snoop, asyncio.TaskGroup() as tasks:
            entered = tasks.create_task(in_bridge(where=lambda event: is_of(event, call)))
            dialling = tasks.create_task(call.dial("Local/early@default/n", ring="early"))
            await entered
            await snoop.record(name, max_seconds=3)
            dialling.cancel()
        return name

    async with call_scene(media_asterisk) as scene:
        name = await scene.served(handler)

    assert loudness(media_asterisk.recording(name).read_bytes()[WAV_HEADER:]) > AUDIBLE


def is_of(event: ChannelEnteredBridge, call: Call) -> bool:
    return event.channel is not None and event.channel.id == call.channel_id
