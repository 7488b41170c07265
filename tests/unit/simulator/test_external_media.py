"""External media of the simulated Asterisk."""

import asyncio
import math
from collections.abc import Mapping

import pytest

from ari_proxy.ari import causes
from ari_proxy.simulator.exchange import Exchange
from ari_proxy.simulator.external_media import external_media
from ari_proxy.simulator.model import SimulatedChannel, SimulatedRefusalError
from ari_proxy.simulator.plans import EndpointPlan
from tests.unit.simulator.test_exchange import Events

WEBSOCKET = {"encapsulation": "none", "transport": "websocket", "external_host": "agents"}
AUDIOSOCKET = {
    "encapsulation": "audiosocket",
    "transport": "tcp",
    "external_host": "127.0.0.1:9092",
    "data": "8862e376-4f68-4109-8f67-599383a93974",
}


def made(asked: Mapping[str, str], variables: Mapping[str, str] | None = None) -> SimulatedChannel:
    return external_media({"app": "demo", "format": "slin16"} | dict(asked), variables or {})


@pytest.mark.parametrize(
    ("asked", "name", "dialstring"),
    [
        ({"external_host": "127.0.0.1:1"}, "UnicastRTP/127.0.0.1:1-0x", "127.0.0.1:1/c(slin16)"),
        (WEBSOCKET, "WebSocket/agents/0x", "agents"),
        (WEBSOCKET | {"transport_data": "f(json)"}, "WebSocket/agents/0x", "agents/f(json)"),
        (
            AUDIOSOCKET,
            f"AudioSocket/127.0.0.1:9092-{AUDIOSOCKET['data']}",
            f"127.0.0.1:9092/{AUDIOSOCKET['data']}",
        ),
    ],
)
def test_names(asked: Mapping[str, str], name: str, dialstring: str) -> None:
    channel = made(asked)
    assert channel.name.startswith(name)
    assert channel.dialstring == dialstring


def test_variables() -> None:
    channel = made(WEBSOCKET, {"A": "b"})
    assert channel.variables == {
        "A": "b",
        "MEDIA_WEBSOCKET_CONNECTION_ID": "agents",
        "MEDIA_WEBSOCKET_OPTIMAL_FRAME_SIZE": "640",
    }


@pytest.mark.parametrize(
    ("asked", "status", "text"),
    [
        ({"app": ""}, 400, "app cannot be empty"),
        ({}, 400, "external_host is required"),
        ({"external_host": "127.0.0.1:9", "format": ""}, 400, "format cannot be empty"),
        ({"external_host": "127.0.0.1:9", "format": "chirping"}, 500, "internal error"),
        ({"external_host": "nowhere"}, 400, "<host>:<port>"),
        ({"external_host": "127.0.0.1:9", "transport": "tcp"}, 400, "must be 'udp' for rtp"),
        ({"external_host": "127.0.0.1:9", "encapsulation": "none"}, 501, "not supported"),
        ({"connection_type": "server"}, 400, "'server' connection_type can only"),
        (AUDIOSOCKET | {"transport": "udp"}, 400, "must be 'tcp' for audiosocket"),
        (AUDIOSOCKET | {"data": ""}, 400, "data can not be empty"),
        (AUDIOSOCKET | {"data": "no uuid"}, 500, "internal error"),
        (WEBSOCKET | {"encapsulation": "rtp"}, 400, "must be 'none' for websocket"),
        (WEBSOCKET | {"external_host": "INCOMING"}, 400, "valid websocket_client connection"),
    ],
)
def test_refusals(asked: Mapping[str, str], status: int, text: str) -> None:
    """`tests/integration/test_external_media.py` compares them with a running Asterisk."""
    with pytest.raises(SimulatedRefusalError, match=text) as raised:
        made(asked)
    assert raised.value.status == status


def test_arguments_are_its_data() -> None:
    assert made({"external_host": "127.0.0.1:9", "data": "a,b"}).arguments == ("a", "b")


async def test_channel_enters_the_application_once_it_is_connected() -> None:
    events = Events()
    async with asyncio.TaskGroup() as tasks:
        exchange = Exchange(tasks, events.take)
        exchange.connect(made(AUDIOSOCKET))

    assert events.types == ["Dial", "ChannelStateChange", "Dial", "StasisStart"]
    assert events.all[-1]["args"] == [AUDIOSOCKET["data"]]


async def test_websocket_whose_other_end_is_away() -> None:
    events = Events()
    async with asyncio.TaskGroup() as tasks:
        exchange = Exchange(tasks, events.take)
        exchange.connect(made(WEBSOCKET | {"external_host": "away"}))

    assert events.types == ["ChannelDestroyed"]
    assert events.all[0]["cause"] == causes.NO_ROUTE


async def test_audiosocket_whose_other_end_is_away() -> None:
    async with asyncio.TaskGroup() as tasks:
        exchange = Exchange(tasks, Events().take)
        with pytest.raises(SimulatedRefusalError, match="internal error") as raised:
            exchange.connect(made(AUDIOSOCKET | {"external_host": "127.0.0.1:1"}))
        assert raised.value.status == 500
        assert exchange.channels == {}


@pytest.mark.parametrize(
    "plan", [EndpointPlan(ring_seconds=math.inf), EndpointPlan(ring_seconds=1, answers=False)]
)
async def test_websocket_that_nobody_comes_to(plan: EndpointPlan) -> None:
    events = Events()
    incoming = WEBSOCKET | {"external_host": "INCOMING", "connection_type": "server"}
    async with asyncio.TaskGroup() as tasks:
        exchange = Exchange(tasks, events.take)
        exchange.plans["WebSocket/INCOMING"] = plan
        exchange.connect(made(incoming))

    assert events.types == ["Dial", "ChannelDestroyed"]
    assert events.all[-1]["cause"] == causes.NO_ANSWER


async def test_id_that_is_taken() -> None:
    async with asyncio.TaskGroup() as tasks:
        exchange = Exchange(tasks, Events().take)
        exchange.connect(made(WEBSOCKET | {"channelId": "m"}))
        with pytest.raises(SimulatedRefusalError):
            exchange.connect(made(WEBSOCKET | {"channelId": "m"}))
