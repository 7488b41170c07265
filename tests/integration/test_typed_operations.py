"""The generated operations and events on real Asterisks, by HTTP and a websocket of our own."""

import asyncio
import itertools
from collections.abc import AsyncIterator, Awaitable, Callable
from functools import partial
from typing import TypeVar

import aiohttp
import pytest
import websockets
from yarl import URL

from ari_proxy.client import events
from ari_proxy.client.ari import Ari, AriAnswer
from ari_proxy.client.ari.model import Model
from ari_proxy.client.ari.requests import ReportedVariable
from ari_proxy.client.errors import (
    Conflict,
    InvalidParameters,
    NotFound,
    RequestFailed,
    Unsupported,
)
from generator import differences, facts, sources
from generator.description import NEWEST, OLDER, read
from tests.support.running import TIMEOUT, until
from tests.support.servers import PASSWORD, Asterisk

_numbers = itertools.count()
EventT = TypeVar("EventT", bound=events.Event)


class Scene:
    """One application with a websocket of its own; requests go by HTTP."""

    def __init__(
        self, asterisk: Asterisk, http: aiohttp.ClientSession, socket: websockets.ClientConnection
    ) -> None:
        self.asterisk_version = ""
        self.ari = Ari(self)
        self._url = asterisk.url
        self._http = http
        self._socket = socket

    async def request(self, method: str, url: str, body: str) -> AriAnswer:
        headers = {"Content-Type": "application/json"} if body else {}
        where = URL(self._url + url, encoded=True)
        async with self._http.request(method, where, data=body, headers=headers) as answer:
            return AriAnswer(answer.status, await answer.read())

    async def event(self, kind: type[EventT]) -> EventT:
        """Return the next event of a kind; each on the way is of a type that is known."""
        async with asyncio.timeout(TIMEOUT):
            while True:
                event = events.decode(str(await self._socket.recv()))
                assert not isinstance(event, events.RawEvent), event
                if isinstance(event, kind):
                    return event


@pytest.fixture
def application() -> str:
    return f"typed{next(_numbers)}"


@pytest.fixture
async def scene(asterisk: Asterisk, application: str) -> AsyncIterator[Scene]:
    headers = {"Authorization": aiohttp.encode_basic_auth("ari", PASSWORD)}
    url = f"{asterisk.websocket_url}?app={application}"
    async with (
        aiohttp.ClientSession(headers=headers) as http,
        websockets.connect(url, additional_headers=headers) as socket,
    ):
        yield Scene(asterisk, http, socket)


async def has_value(ari: Ari, channel: str, variable: str, value: str) -> bool:
    """Asterisk 16 answers with what was before, for a moment."""
    try:
        return (await ari.channels.get_variable(channel, variable)).value == value
    except NotFound:
        return False


def test_facts_are_those_of_a_running_asterisk(asterisk: Asterisk) -> None:
    address = asterisk.url.removeprefix("http://")
    running = facts.taken(sources.description(f"http://ari:{PASSWORD}@{address}"))
    known = read(NEWEST if asterisk.version == "22" else OLDER[0])

    added = differences.between(known, running)

    assert not any((added.operations, added.parameters, added.models, added.fields)), str(added)


async def test_a_call_by_typed_operations_and_events(scene: Scene, application: str) -> None:
    ari = scene.ari
    name = f"{application}-recording"
    channel = await ari.channels.originate(
        "Local/answer@default/n", app=application, variables={"A": "1 & 2"}, timeout=10
    )
    started = await scene.event(events.StasisStart)
    assert started.channel.id == channel.id

    assert (await ari.channels.get_variable(channel.id, "A")).value == "1 & 2"
    await ari.channels.set_variable(channel.id, "LONG", value="ä" * 1_500)
    await until(partial(has_value, ari, channel.id, "LONG", "ä" * 1_500))

    playback = await ari.channels.play(channel.id, ["sound:tt-monkeys", "sound:hello-world"])
    assert (await scene.event(events.PlaybackStarted)).playback.id == playback.id
    await ari.playbacks.control(playback.id, "pause")
    await ari.playbacks.stop(playback.id)

    bridge = await ari.bridges.create(type="mixing", name="room")
    await ari.bridges.add_channel(bridge.id, [channel.id], mute=False)
    assert (await scene.event(events.ChannelEnteredBridge)).bridge.id == bridge.id
    assert channel.id in (await ari.bridges.get(bridge.id)).channels

    recording = await ari.bridges.record(
        bridge.id, name, "wav", max_duration_seconds=10, if_exists="overwrite"
    )
    assert (recording.name, recording.format) == (name, "wav")
    await scene.event(events.RecordingStarted)
    await ari.recordings.stop(name)
    await scene.event(events.RecordingFinished)
    assert (await ari.recordings.get_stored_file(name)).startswith(b"RIFF")
    await ari.recordings.delete_stored(name)

    assert channel.id in {one.id for one in await ari.channels.list()}
    await ari.bridges.destroy(bridge.id)
    await ari.channels.hangup(channel.id, reason="normal")
    while (ended := await scene.event(events.ChannelDestroyed)).channel.id != channel.id:
        pass  # The other half of the Local channel may come first.
    assert ended.cause == 16


async def test_a_long_request_travels_in_the_body(scene: Scene, application: str) -> None:
    """Lists, numbers and booleans arrive there as in a query."""
    channel = await scene.ari.channels.originate("Local/answer@default/n", app=application)
    await scene.event(events.StasisStart)
    media = ["sound:tt-monkeys", "sound:" + "x" * 2_500]

    playback = await scene.ari.channels.play(channel.id, media, skip_ms=5)

    assert (playback.media_uri, playback.next_media_uri) == ("sound:tt-monkeys", media[1])
    await scene.ari.playbacks.stop(playback.id)
    await scene.ari.channels.hangup(channel.id)


async def test_reading_answers_of_every_list(scene: Scene) -> None:
    ari = scene.ari
    lists: list[Callable[[], Awaitable[tuple[Model, ...]]]] = [
        ari.applications.list,
        ari.asterisk.list_modules,
        ari.asterisk.list_log_channels,
        ari.bridges.list,
        ari.channels.list,
        ari.device_states.list,
        ari.endpoints.list,
        ari.recordings.list_stored,
        ari.sounds.list,
    ]

    found = [await one() for one in lists]

    assert all(isinstance(models, tuple) for models in found)
    info = await ari.asterisk.get_info(only=["system", "build"])
    assert info.system is not None
    assert info.config is None
    assert (await ari.asterisk.ping()).ping == "pong"


async def test_errors_are_what_they_mean(scene: Scene, application: str) -> None:
    ari = scene.ari
    with pytest.raises(NotFound, match="Channel not found"):
        await ari.channels.answer("nobody")
    with pytest.raises(NotFound):
        await ari.channels.get("a/b ü%2F")
    with pytest.raises(InvalidParameters):
        await ari.channels.originate("nonsense", app=application)
    with pytest.raises(RequestFailed):
        await ari.channels.originate("Nope/200", app=application)
    with pytest.raises(InvalidParameters, match="less than 0"):
        await ari.channels.record("nobody", "x", "wav", max_duration_seconds=-1)

    channel = await ari.channels.originate(
        "Local/answer@default/n", extension="answer", context="default", priority=1
    )
    with pytest.raises((Conflict, NotFound)):  # In the dialplan; it may be gone.
        await ari.channels.move(channel.id, application)


async def test_what_an_older_asterisk_has_not(scene: Scene, asterisk: Asterisk) -> None:
    info = await scene.ari.asterisk.get_info(only="system")
    assert info.system is not None
    scene.asterisk_version = info.system.version
    reported = {"V": ReportedVariable("1")}

    if asterisk.version == "16":
        with pytest.raises(Unsupported, match=r"needs Asterisk 20\.20, 22\.10, 23\.4 or newer"):
            await scene.ari.bridges.create(variables=reported)
        with pytest.raises(Unsupported, match=rf"events\.claim .*{info.system.version[:5]}"):
            await scene.ari.events.claim("1.2", "nobody")
        return
    bridge = await scene.ari.bridges.create(variables=reported)
    assert bridge.bridgevars == {"V": "1"}
    await scene.ari.bridges.destroy(bridge.id)
    with pytest.raises(NotFound):
        await scene.ari.events.claim("1.2", "nobody")
