"""The client library's types as applications see them: mypy and pyright check this file.

Nothing here runs. `tests/integration/test_public_types.py` has both check it in an environment with
the base install alone.
"""

from collections.abc import Callable, Coroutine
from typing import Any, assert_type

from ari_proxy import App, Call
from ari_proxy.bus.base import Bus, opened
from ari_proxy.client.application import Application, call
from ari_proxy.client.ari import Ari
from ari_proxy.client.ari.models import Channel, Playback, Variable
from ari_proxy.client.bus_at import bus_at
from ari_proxy.client.errors import CallEnded, NotFound, RequestFailed
from ari_proxy.client.events import (
    ChannelDtmfReceived,
    Event,
    ProxyGap,
    RawEvent,
    StasisStart,
    decode,
)
from ari_proxy.client.external.media import ExternalMedia
from ari_proxy.client.external.snoop import Snoop
from ari_proxy.client.legs.leg import Leg
from ari_proxy.client.media.recording import Recording
from ari_proxy.protocol.ids import ServerId
from ari_proxy.protocol.messages import Command, CommandResponse, ServerCommandResponse


async def serve(one: Call) -> None:
    assert_type(one.channel_id, str)
    assert_type(one.dialog_id, str)
    assert_type(one.is_over, bool)
    assert_type(one.ari, Ari)
    async for event in one.events():
        assert_type(event.sequence, int)
        assert_type(event.type, str)
        assert_type(event.body, dict[str, Any])
    digit = await one.wait_for(
        ChannelDtmfReceived, where=lambda found: found.digit == "1", timeout=5
    )
    assert_type(digit, ChannelDtmfReceived)
    with one.following(follow):
        assert_type(await one.ari.channels.play(one.channel_id, "sound:hello-world"), Playback)
    handler: Callable[[ProxyGap], Coroutine[Any, Any, None]] = one.on_gap(missed)
    assert handler is missed
    assert_type(await one.command("POST", "/channels/1/answer"), CommandResponse)
    assert_type((one.state, one.caller.number, one.args), tuple[str, str, tuple[str, ...]])
    assert_type(one.variables, dict[str, str])


async def transfer(one: Call) -> None:
    assert_type(await one.transfer("PJSIP/200"), None)
    agent = await one.transfer(["PJSIP/200", "PJSIP/201"], attended=True, accept="1")
    assert_type(agent, Leg)
    async with one.bridge(record="calls/1") as room, agent.phone_transfers() as asked:
        async for wanted in asked:
            async with wanted:
                await room.add(await one.dial(f"PJSIP/{wanted.target}", ring="early"))


async def missed(gap: ProxyGap) -> None:
    assert_type(gap.count, int | None)


async def supervisor(one: Call) -> None:
    async with one.snoop(spy="both", whisper="out") as snoop:
        assert_type(snoop, Snoop)
        assert_type(await snoop.record("conversation"), Recording)


async def agent(one: Call) -> None:
    async with one.external_media(
        "websocket", connection="agents", params={"call": one.id}, variables={"A": "b"}
    ) as media:
        assert_type(media, ExternalMedia)
        assert_type(media.connection_id, str)
        assert_type(media.local_address, tuple[str, int] | None)
        assert_type(await media.wait_ended(), CallEnded)


app = App("demo", "amqps://bus.example", concurrency=10, ca_file="ca.pem", user="u", password="p")
assert_type(app, App)
assert_type(app.name, str)


@app.call
async def registered(one: Call) -> None:
    await one.ari.channels.answer(one.channel_id)


@app.recovered
async def go_on(one: Call) -> None:
    assert_type(one.state, str)


async def front_door() -> None:
    async with app as entered:
        assert_type(entered, App)
    assert_type(await app.serve(), None)
    async with app.originate("PJSIP/200", caller_id="100", variables={"A": "b"}) as placed:
        assert_type(placed, Call)
    assert_type(await app.originate("PJSIP/200", server=placed.server_id), Call)


def follow(event: Event) -> None:
    assert_type(event.type, str)


async def application() -> None:
    bus = bus_at("tls://bus.example", name="hello", ca_file="ca.pem", user="u", password="p")
    assert_type(bus, Bus)
    async with opened(bus):
        await Application(bus, "demo", serve).run()
    answer = await call(bus, ServerId("asterisk-1"), Command("", "/channels", "GET"))
    assert_type(answer, ServerCommandResponse)


async def operations(ari: Ari) -> None:
    assert_type(await ari.channels.get("1"), Channel)
    assert_type(await ari.channels.play("1", "sound:hello-world"), Playback)
    assert_type(await ari.channels.get_variable("1", "NAME"), Variable)
    await ari.channels.answer("1")
    try:
        await ari.channels.hangup("1", reason="busy")
    except NotFound as error:
        assert_type(error, NotFound)
        assert_type(error.status, int)
    except RequestFailed as error:
        assert_type(error.message, str)


def events(text: str) -> None:
    event = decode(text)
    assert_type(event.raw, str)
    match event:
        case ChannelDtmfReceived(digit=digit):
            assert_type(digit, str)
        case StasisStart(channel=channel, args=arguments):
            assert_type(channel, Channel)
            assert_type(channel.name, str)
            assert_type(arguments, tuple[str, ...])
        case RawEvent():
            assert_type(event.type, str)
        case Event():
            pass
