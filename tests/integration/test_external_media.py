"""External media of calls: simulated, and on Asterisk 22 with audio that goes round."""

import asyncio
import json
import re
from collections import Counter
from collections.abc import AsyncIterator
from typing import Any, Final
from urllib.parse import urlencode

import pytest
import websockets
from websockets.typing import Subprotocol

from ari_proxy.client.call import Call
from ari_proxy.client.errors import CallEnded, InvalidParameters, NotConnected
from ari_proxy.client.events import ChannelEnteredBridge, Event
from ari_proxy.client.external.target import INCOMING
from tests.support.coverage import ROOT
from tests.support.media import (
    MediaAsterisk,
    OtherEnd,
    audiosocket_server,
    rtp_server,
    websocket_server,
)
from tests.support.memory_proxy import CallScene, call_scene, simulator
from tests.support.running import until

#: The caller sends back what it hears.
ECHO: Final = "echo"


@pytest.fixture(params=["simulator", "asterisk22"])
async def scene(request: pytest.FixtureRequest) -> AsyncIterator[CallScene]:
    """Calls, and an Asterisk that has the connections `agents` and `away`."""
    if request.param == "asterisk22":
        asterisk: MediaAsterisk = request.getfixturevalue("media_asterisk")
        async with (
            websocket_server(OtherEnd(), asterisk.agents_port),
            call_scene(asterisk) as found,
        ):
            yield found
    else:
        async with simulator() as simulated, call_scene(simulated) as found:
            yield found


@pytest.fixture
async def real(media_asterisk: MediaAsterisk) -> AsyncIterator[CallScene]:
    """Calls of Asterisk; the test has the port of `agents`."""
    async with call_scene(media_asterisk) as found:
        yield found


async def members(call: Call) -> set[str]:
    """Return who is in the bridge of the call."""
    bridges = [bridge.channels for bridge in await call.ari.bridges.list()]
    return next((set(one) for one in bridges if call.channel_id in one), set())


async def until_members(call: Call, expected: set[str]) -> None:
    """Wait until these are in the bridge of the call: Asterisk may list one late."""

    async def are_there() -> bool:
        return await members(call) == expected

    await until(are_there)


async def test_media_are_in_a_bridge_with_the_call_for_a_block(scene: CallScene) -> None:
    async def handler(call: Call) -> str:
        async with call.external_media(
            "websocket", connection="agents", params={"call": call.id}
        ) as media:
            await until_members(call, {call.channel_id, media.channel_id})
        await until_members(call, set())
        return media.connection_id

    assert await scene.served(handler) == "agents"


async def test_where_asterisk_gets_rtp(scene: CallScene) -> None:
    async def handler(call: Call) -> tuple[str, int] | None:
        async with call.external_media("rtp", host="127.0.0.1:9") as media:
            return media.local_address

    found = await scene.served(handler)
    assert found is not None
    assert found[0] == "127.0.0.1"
    assert found[1] > 0


@pytest.mark.parametrize(
    "where",
    [{"kind": "websocket", "connection": "away"}, {"kind": "audiosocket", "host": "127.0.0.1:1"}],
    ids=["websocket", "audiosocket"],
)
async def test_other_end_that_is_away(scene: CallScene, where: dict[str, Any]) -> None:
    async def handler(call: Call) -> None:
        async with call.external_media(**where):
            pass

    with pytest.raises(NotConnected, match="away"):
        await scene.served(handler)


async def test_format_that_asterisk_does_not_have(scene: CallScene) -> None:
    async def handler(call: Call) -> None:
        async with call.external_media("rtp", host="127.0.0.1:9", format="chirping"):
            pass

    with pytest.raises(NotConnected, match="format"):
        await scene.served(handler)


async def test_host_without_a_port(scene: CallScene) -> None:
    async def handler(call: Call) -> None:
        async with call.external_media("rtp", host="localhost"):
            pass

    with pytest.raises(InvalidParameters, match="<host>:<port>"):
        await scene.served(handler)


async def test_call_that_ends_ends_its_media(scene: CallScene) -> None:
    async def handler(call: Call) -> str:
        async with call.external_media("websocket", connection="agents") as media:
            await call.hang_up()
            with pytest.raises(CallEnded):
                await media.wait_ended()
        return media.channel_id

    await scene.served(handler)


async def test_media_that_are_cancelled(scene: CallScene) -> None:
    async def handler(call: Call) -> tuple[bool, list[str]]:
        media = call.external_media("websocket", connection="agents")

        async def stay() -> None:
            async with media, asyncio.timeout(0.5):
                await media.wait_ended()

        with pytest.raises(TimeoutError):
            await stay()

        async def is_gone() -> bool:
            channels = await call.ari.channels.list()
            return media.channel_id not in {channel.id for channel in channels}

        await until(is_gone)
        await until_members(call, set())
        return call.is_over, list(await members(call))

    assert await scene.served(handler) == (False, [])


async def test_media_may_be_in_a_bridge_of_the_applications_own(scene: CallScene) -> None:
    async def handler(call: Call) -> bool:
        async with (
            call.bridge() as room,
            call.external_media("websocket", connection="agents", is_bridged=False) as media,
        ):
            await room.add(call, media)
            await until_members(call, {call.channel_id, media.channel_id})
            await call.ari.channels.hangup(media.channel_id)
            return await room.wait_for_leaver() is media

    assert await scene.served(handler)


async def test_events_of_its_channel(media_asterisk: MediaAsterisk) -> None:
    """The simulator's are those of Asterisk, in the same order."""

    async def handler(call: Call) -> list[str]:
        seen: list[Event] = []
        with call.following(seen.append):
            async with call.external_media("websocket", connection="agents") as media:
                pass

            def is_destroyed() -> bool:
                return any(is_of(event, "ChannelDestroyed", media.channel_id) for event in seen)

            await until(is_destroyed)
        return [event.type for event in seen if is_of(event, "", media.channel_id)]

    async with simulator() as simulated, call_scene(simulated) as scene:
        found = await scene.served(handler)
    agents = websocket_server(OtherEnd(), media_asterisk.agents_port)
    async with agents, call_scene(media_asterisk) as scene:
        expected = await scene.served(handler)
    assert found == [name for name in expected if name != "ChannelVarset"]


def is_of(event: Event, event_type: str, channel_id: str) -> bool:
    about = json.loads(event.raw)
    channel = about.get("channel") or about.get("peer") or {}
    return event.type.startswith(event_type) and channel.get("id") == channel_id


async def test_documented_handler(scene: CallScene) -> None:
    page = (ROOT / "docs/calls.md").read_text()
    names: dict[str, Any] = {}
    exec("".join(re.findall(r"```python\n(.*?)```", page, re.DOTALL)), names)  # noqa: S102  what it shows

    async def handler(call: Call) -> bool:
        async def hang_up() -> None:
            entered = await call.wait_for(
                ChannelEnteredBridge, where=lambda found: found.channel_id != call.channel_id
            )
            await call.ari.channels.hangup(entered.channel_id)

        async with asyncio.TaskGroup() as tasks:
            tasks.create_task(hang_up())
            await names["to_agent_program"](call)
        return call.is_over

    assert await scene.served(handler) is False


# What is asked for, and refused

RIGHT: Final = {"app": "{app}", "format": "slin16", "external_host": "127.0.0.1:9"}
WEBSOCKET: Final = {"encapsulation": "none", "transport": "websocket"}
AUDIOSOCKET: Final = {"encapsulation": "audiosocket", "transport": "tcp"}
REQUESTS: Final[list[dict[str, str]]] = [
    {},
    {"app": "{app}"},
    {"format": "slin"},
    {"app": "{app}", "format": "slin"},
    {"app": "{app}", "external_host": "127.0.0.1:9"},
    RIGHT | {"transport": "tcp"},
    RIGHT | {"transport": "sideways"},
    RIGHT | {"encapsulation": "sideways"},
    RIGHT | {"encapsulation": "none"},
    RIGHT | {"encapsulation": "audiosocket"},
    RIGHT | {"format": "chirping"},
    RIGHT | {"external_host": "nowhere"},
    RIGHT | {"connection_type": "server"},
    RIGHT | {"transport": "websocket"},
    RIGHT | AUDIOSOCKET,
    RIGHT | AUDIOSOCKET | {"connection_type": "server"},
    RIGHT | AUDIOSOCKET | {"data": "no uuid"},
    RIGHT | AUDIOSOCKET | {"external_host": "nowhere"},
    RIGHT | WEBSOCKET | {"external_host": ""},
    RIGHT | WEBSOCKET | {"external_host": INCOMING},
    RIGHT | WEBSOCKET | {"external_host": "", "connection_type": "server", "format": "chirping"},
]


async def refusals(scene: CallScene) -> list[tuple[int, str]]:
    found = []
    for asked in REQUESTS:
        given = {name: value.format(app=scene.application) for name, value in asked.items()}
        answer = await scene.rest.request("POST", f"/channels/externalMedia?{urlencode(given)}")
        found.append((answer.status, json.loads(answer.body).get("message", "")))
    return found


async def test_simulator_refuses_what_asterisk_refuses(real: CallScene) -> None:
    expected = await refusals(real)
    async with simulator() as simulated, call_scene(simulated) as scene:
        found = await refusals(scene)

    assert Counter(status for status, _ in expected)[200] == 0
    assert found == expected


SNOOPS: Final[list[dict[str, str]]] = [
    {},
    {"app": "{app}"},
    {"app": "{app}", "spy": "none", "whisper": "none"},
    {"app": "{app}", "spy": "sideways"},
    {"app": "{app}", "whisper": "sideways"},
    {"spy": "sideways", "whisper": "sideways"},
    {"spy": "in"},
    {"app": "{app}", "spy": "in"},
]


async def snoop_refusals(scene: CallScene) -> list[tuple[int, str]]:
    """Return how a snoop of nobody is refused, and one of a call whose parameters are wrong."""

    async def ask(channel: str, asked: dict[str, str]) -> tuple[int, str]:
        given = {name: value.format(app=scene.application) for name, value in asked.items()}
        path = f"/channels/{channel}/snoop?{urlencode(given)}"
        answer = await scene.rest.request("POST", path)
        return answer.status, json.loads(answer.body)["message"]

    async def handler(call: Call) -> list[tuple[int, str]]:
        found = [await ask("nobody", asked) for asked in SNOOPS]
        return found + [await ask(call.channel_id, asked) for asked in SNOOPS[:-1]]

    return await scene.served(handler)


async def test_simulator_refuses_snoops_that_asterisk_refuses(real: CallScene) -> None:
    expected = await snoop_refusals(real)
    async with simulator() as simulated, call_scene(simulated) as scene:
        found = await snoop_refusals(scene)

    assert found == expected


# Audio that goes round: the other end speaks, the caller sends it back, and the other end hears it


async def test_websocket_speaks_and_hears(media_asterisk: MediaAsterisk, real: CallScene) -> None:
    end = OtherEnd()

    async def handler(call: Call) -> tuple[str, str]:
        async with call.external_media(
            "websocket", connection="agents", params={"call": call.id}, variables={"WHO": "me"}
        ) as media:
            await end.until_heard()
        return call.id, media.channel_id

    async with websocket_server(end, media_asterisk.agents_port):
        call_id, channel_id = await real.served(handler, ECHO)
    path, start = end.told[:2]
    assert path == f"/media?call={call_id}"
    assert (start["event"], start["channel_id"]) == ("MEDIA_START", channel_id)
    assert (start["format"], start["channel_variables"]["WHO"]) == ("slin16", "me")


async def test_incoming_websocket_speaks_and_hears(
    media_asterisk: MediaAsterisk, real: CallScene
) -> None:
    end = OtherEnd()

    async def handler(call: Call) -> str:
        async with call.external_media("websocket", connection=INCOMING) as media:
            url = f"ws://127.0.0.1:{media_asterisk.port}/media/{media.connection_id}"
            async with (
                websockets.connect(url, subprotocols=[Subprotocol("media")]) as socket,
                asyncio.TaskGroup() as tasks,
            ):
                serving = tasks.create_task(end.websocket(socket))
                await media.wait_connected()
                await end.until_heard()
                serving.cancel()
            return media.channel_id

    channel_id = await real.served(handler, ECHO)
    assert end.told[-1]["channel_id"] == channel_id


@pytest.mark.parametrize(("format_name", "kind"), [("slin", 0x10), ("slin16", 0x12)])
async def test_audiosocket_speaks_and_hears(real: CallScene, format_name: str, kind: int) -> None:
    end = OtherEnd(audio_kind=kind)

    async def handler(call: Call) -> bytes:
        async with (
            audiosocket_server(end) as host,
            call.external_media("audiosocket", host=host, format=format_name) as media,
        ):
            await end.until_heard()
            return media.uuid.bytes

    assert await real.served(handler, ECHO) == end.told[0]


async def test_rtp_speaks_and_hears(real: CallScene) -> None:
    end = OtherEnd()

    async def handler(call: Call) -> None:
        async with (
            rtp_server(end) as (host, rtp),
            call.external_media("rtp", host=host, format="ulaw") as media,
        ):
            assert media.local_address is not None
            async with rtp.speaking_to(media.local_address):
                await end.until_heard()

    await real.served(handler, ECHO)


async def test_other_end_that_goes(media_asterisk: MediaAsterisk, real: CallScene) -> None:
    async def handler(call: Call) -> bool:
        async with websocket_server(OtherEnd(), media_asterisk.agents_port):
            media = call.external_media("websocket", connection="agents")
            await media.__aenter__()
        try:
            await media.wait_ended()
            return call.is_over
        finally:
            await media.__aexit__(None, None, None)

    assert await real.served(handler) is False


async def test_connection_that_asterisk_does_not_have(real: CallScene) -> None:
    async def handler(call: Call) -> None:
        async with call.external_media("websocket", connection="pigeons"):
            pass

    with pytest.raises(InvalidParameters, match="valid websocket_client connection"):
        await real.served(handler)
