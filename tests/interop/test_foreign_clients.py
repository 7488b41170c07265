"""Clients that were written for the original, each as its sources say, serve calls on ours.

On a real Asterisk and a real bus. What they write to the bus comes from `asternet.py`,
`ari4java.py` and `go_ari_library.py` in `tests/support`, which know nothing of ari-proxy.
"""

import asyncio
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any
from urllib.parse import quote, urlencode
from uuid import uuid4

import pytest

from ari_proxy.connections import factories
from ari_proxy.settings.load import Settings
from tests.support import ari4java, asternet, go_ari_library, golden
from tests.support.asternet import AriBrokerClient, BrokerSession
from tests.support.link import Link
from tests.support.running import running_proxy, settings_for, until
from tests.support.servers import Asterisk, BusServer
from tests.support.setting import Setting

CALLS = 8


class Callers:
    """Place calls that enter an application."""

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        (self.application,) = settings.applications

    async def place(self, count: int = 1, extension: str = "answer") -> list[str]:
        query = urlencode({"endpoint": f"Local/{extension}@default/n", "app": self.application})
        async with factories.rest_client(self._settings) as rest:
            answers = [await rest.request("POST", f"/channels?{query}") for _ in range(count)]
        return [json.loads(answer.body)["id"] for answer in answers]

    async def until_registered(self) -> None:
        async with factories.rest_client(self._settings) as rest:

            async def known() -> bool:
                answer = await rest.request("GET", f"/applications/{self.application}")
                return answer.status == 200

            await until(known)

    async def until_gone(self, channels: list[str]) -> None:
        async with factories.rest_client(self._settings) as rest:

            async def gone() -> bool:
                answers = [await rest.request("GET", f"/channels/{name}") for name in channels]
                return all(answer.status == 404 for answer in answers)

            await until(gone)


@asynccontextmanager
async def callers_of(asterisk: Asterisk, bus: BusServer) -> AsyncIterator[Callers]:
    settings = settings_for(
        bus,
        rest_url=asterisk.url,
        websocket_url=asterisk.websocket_url,
        application=f"foreign-{uuid4().hex}",
    )
    async with running_proxy(settings):
        callers = Callers(settings)
        await callers.until_registered()
        yield callers


async def test_asternet_at_its_limit_leaves_no_call_unserved(
    asterisk: Asterisk, rabbitmq_link: Link
) -> None:
    """Two instances with limits 2 and 50 have eight calls between them."""
    all_there = asyncio.Event()
    served: list[BrokerSession] = []
    tasks: set[asyncio.Task[None]] = set()

    async def serve(session: BrokerSession) -> None:
        channel = (await session.until("StasisStart"))["channel"]["id"]
        assert (await session.execute("POST", f"channels/{channel}/answer"))["status_code"] == 204
        served.append(session)
        if len(served) == CALLS:
            all_there.set()
        await all_there.wait()
        played = await session.execute("POST", f"channels/{channel}/play", media="sound:tt-monkeys")
        playback = json.loads(played["response_body"])["id"]
        assert (await session.until("PlaybackStarted"))["playback"]["id"] == playback
        assert (await session.execute("DELETE", f"channels/{channel}"))["status_code"] == 204
        await session.until("StasisEnd")
        await session.close_dialogue()

    def on_new_dialogue(session: BrokerSession) -> None:
        tasks.add(asyncio.get_running_loop().create_task(serve(session)))

    small = AriBrokerClient(rabbitmq_link.url, on_new_dialogue, 2)
    large = AriBrokerClient(rabbitmq_link.url, on_new_dialogue)
    async with (
        callers_of(asterisk, rabbitmq_link) as callers,
        small.connected(callers.application),
        large.connected(callers.application),
    ):
        channels = await callers.place(CALLS)
        await until(lambda: len(served) == CALLS)
        assert (small.most, large.most) == (2, CALLS - 2)
        assert small.rejections > 0
        await callers.until_gone(channels)
        await asyncio.gather(*tasks)

    assert all(session.types[0] == "StasisStart" for session in served)


async def test_ari4java_serves_a_call_and_what_it_creates_is_its_dialogs(
    asterisk: Asterisk, rabbitmq_link: Link
) -> None:
    async with (
        callers_of(asterisk, rabbitmq_link) as callers,
        ari4java.ari4java(rabbitmq_link.url) as client,
    ):
        await client.listen(callers.application)
        (caller,) = await callers.place()
        assert (await client.until("StasisStart"))["channel"]["id"] == caller

        bridge = json.loads(await client.action("POST", "/bridges"))["id"]
        assert bridge.startswith("ariu-")  # It is the dialog's.
        assert await client.action("POST", f"/channels/{caller}/answer") == ""
        applications = json.loads(await client.action("GET", "/applications"))
        assert callers.application in [found["name"] for found in applications]
        assert await client.action("DELETE", f"/bridges/{bridge}") == ""
        assert await client.action("DELETE", f"/channels/{caller}") == ""
        assert (await client.until("StasisEnd"))["channel"]["id"] == caller
        await callers.until_gone([caller])


async def test_go_ari_library_serves_calls_side_by_side(
    asterisk: Asterisk, bus_server: BusServer
) -> None:
    async def serve(instance: go_ari_library.AppInstance) -> str:
        channel: str = (await instance.until("StasisStart"))["channel"]["id"]
        path = f"/channels/{channel}"
        assert (await instance.process("POST", f"{path}/answer"))["status_code"] == 204
        assert (await instance.process("GET", "/channels/nowhere"))["status_code"] == 404
        played = await instance.process("POST", f"{path}/play", media="sound:tt-monkeys")
        playback = json.loads(played["response_body"])["id"]
        assert (await instance.until("PlaybackStarted"))["playback"]["id"] == playback
        assert (await instance.process("DELETE", path))["status_code"] == 204
        await instance.until("StasisEnd")
        return channel

    async with (
        callers_of(asterisk, bus_server) as callers,
        go_ari_library.go_ari_library(bus_server.url) as app,
        asyncio.timeout(60),
    ):
        await app.listen(callers.application)
        channels = await callers.place(CALLS)
        instances = [await app.instances.get() for _ in channels]
        served = await asyncio.gather(*(serve(instance) for instance in instances))

    assert sorted(served) == sorted(channels)
    assert all(instance.types[0] == "StasisStart" for instance in instances)


async def test_asternets_bytes_serve_a_call_on_every_bus(
    asterisk: Asterisk, bus_server: BusServer
) -> None:
    """Its middleware has a provider for RabbitMQ only; for NATS there would be the same bytes."""
    async with (
        callers_of(asterisk, bus_server) as callers,
        go_ari_library.go_ari_library(bus_server.url) as app,
        asyncio.timeout(60),
    ):
        await app.listen(callers.application)
        (channel,) = await callers.place()
        instance = await app.instances.get()
        assert (await instance.until("StasisStart"))["channel"]["id"] == channel

        async def execute(method: str, path: str, **parameters: str) -> dict[str, Any]:
            unique_id = uuid4().hex
            payload = asternet.command(unique_id, method, path, **parameters).encode()
            response = await instance.exchange(payload)
            assert response["unique_id"] == unique_id
            return response

        assert (await execute("POST", f"channels/{channel}/answer"))["status_code"] == 204
        played = await execute("POST", f"channels/{channel}/play", media="sound:tt-monkeys")
        playback = json.loads(played["response_body"])["id"]
        assert (await instance.until("PlaybackStarted"))["playback"]["id"] == playback
        assert (await execute("DELETE", f"channels/{channel}"))["status_code"] == 204
        await callers.until_gone([channel])


async def test_variable_of_any_text_is_set_and_read_again(
    asterisk: Asterisk, bus_server: BusServer
) -> None:
    """Asterisk 16 answers before it has set one: ChannelVarset says when it has."""
    value = "<A & B> +%26 \u00fc"
    async with (
        callers_of(asterisk, bus_server) as callers,
        go_ari_library.go_ari_library(bus_server.url) as app,
        asyncio.timeout(60),
    ):
        await app.listen(callers.application)
        await callers.place()
        instance = await app.instances.get()
        channel = (await instance.until("StasisStart"))["channel"]["id"]
        path = f"/channels/{channel}/variable"
        in_query = urlencode({"variable": "QUERY", "value": value}, quote_via=quote)
        ways = {
            "BODY": instance.process("POST", path, variable="BODY", value=value),
            "QUERY": instance.process("POST", f"{path}?{in_query}"),
        }
        for name, way in ways.items():
            assert (await way)["status_code"] == 204
            while (told := await instance.until("ChannelVarset"))["variable"] != name:
                pass
            read = await instance.process("GET", f"{path}?variable={name}")

            assert told["value"] == value
            assert json.loads(read["response_body"]) == {"value": value}
        await instance.process("DELETE", f"/channels/{channel}")


#: What reaches Asterisk of what each client writes: a method, a path and a body.
BYTES = [
    (
        asternet.command("0f" * 16, "POST", "channels/c/answer").encode(),
        ("POST", "/ari/channels/c/answer", "{}"),
    ),
    (
        asternet.command("0f" * 16, "POST", "channels/c/moh", mohClass="tr\u00eas").encode(),
        ("POST", "/ari/channels/c/moh", '{"mohClass":"tr\u00eas"}'),
    ),
    (ari4java.command("GET", "/endpoints"), ("GET", "/ari/endpoints", "[]")),
    (
        go_ari_library.command("POST", "/channels/c/ring", "{}"),
        ("POST", "/ari/channels/c/ring", "{}"),
    ),
    (
        go_ari_library.command("GET", "/endpoints?a=1&b=2", '{"a":"<1> & 2"}'),
        ("GET", "/ari/endpoints?a=1&b=2", '{"a":"<1> & 2"}'),
    ),
]


@pytest.mark.parametrize(("payload", "request_"), BYTES)
async def test_bytes_of_a_command_reach_asterisk(
    proxy: Setting, payload: bytes, request_: tuple[str, str, str]
) -> None:
    dialog = await proxy.begin()

    response = await proxy.client.send(dialog, payload)

    assert response["status_code"] == 204
    assert response["unique_id"] == json.loads(payload)["unique_id"]
    (request,) = proxy.asterisk.requests
    assert (request.method, request.target, request.body) == request_


@pytest.mark.parametrize("transcript", ["goari-nats-lib", "goari-nats-voicemail"])
def test_go_ari_librarys_bytes_are_those_of_the_transcripts(transcript: str) -> None:
    dummy, *payloads = golden.bus_payloads(transcript, "commands_", sender="client")

    assert dummy == b"DUMMY"
    commands = [json.loads(payload) for payload in payloads if payload != b"DUMMY"]
    assert commands
    for command, payload in zip(commands, [p for p in payloads if p != b"DUMMY"], strict=True):
        written = go_ari_library.command(command["method"], command["url"], command["body"])
        assert written == payload
