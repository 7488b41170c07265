"""Bad input over real connections: one clear answer each, and the next one works."""

import asyncio
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ari_proxy.ari.availability import CommandWay
from ari_proxy.bus.base import Message, opened
from ari_proxy.bus.memory.bus import MemoryBroker, MemoryBus
from ari_proxy.command.service import CommandService
from ari_proxy.connections import factories
from ari_proxy.protocol.ids import ServerId
from ari_proxy.settings.load import load
from ari_proxy.tap.tap import Tap
from ari_proxy.telemetry.metrics import Metrics
from ari_proxy.telemetry.traces import Traces
from tests.support import process
from tests.support.process import environment_of
from tests.support.running import LegacyClient, bus_client, running_proxy, until, until_running
from tests.support.scripted_asterisk import channel_event, scripted_asterisk
from tests.support.servers import BusServer, NatsServer
from tests.support.setting import settings_of

DIALOG = "server-1.0123456789abcdef"
ANSWERS = {
    "nothing": b"",
    "no http": b"SSH-2.0-OpenSSH_9.2\r\n\r\n",
    "half a status": b"HTTP/1.1 2",
    "status of letters": b"HTTP/1.1 abc OK\r\n\r\n",
    "less than announced": b"HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\nshort",
    "negative length": b"HTTP/1.1 200 OK\r\nContent-Length: -1\r\n\r\n",
    "broken chunk": b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\nx\r\n0\r\n\r\n",
    "endless header": b"HTTP/1.1 200 OK\r\nX: " + b"x" * 200_000 + b"\r\n\r\n",
    "header with a null": b"HTTP/1.1 200 OK\r\nX: a\x00b\r\nContent-Length: 0\r\n\r\n",
}


@asynccontextmanager
async def answering(answer: bytes) -> AsyncIterator[str]:
    """A server that gives one answer to whatever it is asked, and closes."""

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.read(1024)
        writer.write(answer)
        await writer.drain()
        writer.close()

    server = await asyncio.start_server(serve, "127.0.0.1", 0)
    async with server:
        yield f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}/ari"


@pytest.mark.parametrize("answer", ANSWERS.values(), ids=ANSWERS.keys())
async def test_answer_that_is_none_becomes_a_502(nats_server: NatsServer, answer: bytes) -> None:
    async with answering(answer) as url:
        settings = load(
            server_id="server-1",
            ari={"rest_url": url, "timeout_seconds": 5},
            bus={"urls": [nats_server.url]},
            admin={"enabled": False},
        )
        async with bus_client(settings) as bus, running_proxy(settings, ["command"]):
            await until_running(settings, ingest=False)
            client = LegacyClient(bus, "demo")
            await client.listen(DIALOG)
            statuses = [
                await client.command(DIALOG, "POST", "/channels/c/answer"),
                await client.command(DIALOG, "GET", "/asterisk/info"),
            ]

    assert [answer["status_code"] for answer in statuses] == [502, 502]
    errors = [json.loads(answer["response_body"]) for answer in statuses]
    assert {error["error"] for error in errors} == {"ari_proxy.unreachable"}


async def test_answer_that_is_no_text_arrives_as_far_as_it_is(proxy: Any) -> None:
    dialog = await proxy.begin()
    proxy.asterisk.answer("GET", "/sounds", 200, "<html>\x00\ufffd&</html>")

    answer = await proxy.client.command(dialog, "GET", "/sounds")

    assert answer["response_body"] == "<html>\x00\ufffd&</html>"


fields = st.one_of(st.text(max_size=20), st.integers(), st.none(), st.lists(st.text(), max_size=2))
#: What may come on a dialog's commands topic; `DUMMY` alone is none.
payloads = st.one_of(
    st.binary(min_size=1, max_size=200),
    st.dictionaries(
        st.sampled_from(["unique_id", "url", "method", "body", "x"]), fields, max_size=5
    )
    .map(json.dumps)
    .map(str.encode),
    st.sampled_from(
        [
            b"null",
            b"[]",
            b"[[]]",
            b'{"method":"GET","url":"/a\\r\\nX: y"}',
            b'{"method":"GET\\r\\nX: y","url":"/a"}',
            b'\xff\xfe{"method":"GET"}',
        ]
    ),
    # Nearly what a bus takes.
    st.sampled_from(["unique_id", "url", "method", "body"]).map(
        lambda field: json.dumps({field: "x" * 900_000}).encode()
    ),
    st.integers(1, 10_000).map(lambda depth: b"[" * depth),
).filter(lambda payload: payload != b"DUMMY")


@settings(max_examples=25)
@given(st.lists(payloads, min_size=1, max_size=8))
def test_whatever_is_sent_as_a_command_is_answered_and_the_next_one_works(
    sent: list[bytes],
) -> None:
    async def run() -> None:
        async with (
            scripted_asterisk() as asterisk,
            opened(MemoryBus(MemoryBroker())) as bus,
            asyncio.TaskGroup() as tasks,
        ):
            configured = load(server_id="server-1", ari={"rest_url": asterisk.url})
            async with factories.rest_client(configured) as rest:
                stop = asyncio.Event()
                service = CommandService(
                    configured,
                    bus,
                    CommandWay(rest),
                    Metrics(),
                    tap=Tap(ServerId("server-1"), bus),
                    traces=Traces(),
                )
                tasks.create_task(service.run(stop))
                responses: list[dict[str, Any]] = []

                def take(message: Message) -> None:
                    responses.append(json.loads(message.payload))

                await bus.subscribe(f"responses_{DIALOG}", take)
                await until(lambda: bus.publish_to_listener(f"commands_{DIALOG}", b"DUMMY"))
                last = {"unique_id": "last", "method": "POST", "url": "/channels/c/answer"}
                for payload in (*sent, json.dumps(last).encode()):
                    bus.publish(f"commands_{DIALOG}", payload)
                await until(lambda: responses and responses[-1]["unique_id"] == "last")
                stop.set()

        commands = sum(_commands_in(payload) for payload in sent)
        assert len(responses) == commands + 1
        assert responses[-1]["status_code"] == 204
        for request in asterisk.requests:
            assert not set(request.target) & set("\r\n ")

    asyncio.run(run())


def _commands_in(payload: bytes) -> int:
    """Return how many answers a message gets: an array one for each of its commands."""
    try:
        found = json.loads(payload)
    except (ValueError, RecursionError):
        return 1
    is_array = isinstance(found, list) and payload.lstrip()[:1] == b"["
    return len(found) if is_array and all(isinstance(c, dict) for c in found) else 1


async def test_what_comes_in_can_forge_no_line_of_the_log(
    bus_server: BusServer, tmp_path: Path
) -> None:
    forged = '\n{"event": "forged", "level": "error"}\n\x1b[31m\u2028'
    async with scripted_asterisk() as asterisk:
        configured = settings_of(asterisk, bus_server)
        environment = {**environment_of(configured), "ARI_PROXY_LOG__LEVEL": "debug"}
        async with (
            bus_client(configured) as bus,
            process.running(tmp_path / "log", "standalone", **environment) as running,
        ):
            await until_running(configured)
            client = LegacyClient(bus, "demo")
            await client.start()
            await asterisk.push(json.dumps({"type": forged, "channel": {"id": forged}}))
            await asterisk.push(forged)
            await asterisk.push(channel_event("StasisStart", "c"))
            dialog = await client.first_dialog()
            for method, url in (("GET", forged), (forged, "/channels"), ("GET", "/channels/c")):
                await client.command(dialog, method, url)
            log = running.log

    lines = [json.loads(line) for line in log.split("\n") if line]
    assert not [line for line in lines if line["event"] == "forged"]
    assert "\x1b" not in log


async def test_odd_field_of_an_event_or_a_list_costs_no_call(bus_server: BusServer) -> None:
    async with scripted_asterisk() as asterisk:
        asterisk.channels.extend([{"id": 5}, {"id": "odd", "dialplan": None, "state": 1}])
        asterisk.add_channel("waiting")
        asterisk.bridges.append({"id": "b", "channels": None})
        settings = settings_of(asterisk, bus_server)
        async with bus_client(settings) as bus, running_proxy(settings):
            client = LegacyClient(bus, "demo")
            await client.start()
            await client.listen("server-1")
            await until_running(settings)
            # It entered before anybody was there; who looks for it reads the whole list.
            dialog = await client.first_dialog()
            broadcast = '{"type":"CallBroadcast","application":null,"caller":"200"}'
            await asterisk.push(broadcast)
            odd = (
                '{"type":"Dial","peer":"1.1","bridge":{"channels":null},"caller":{"id":"waiting"}}'
            )
            await asterisk.push(odd)
            await client.until(lambda: "Dial" in client.types(dialog))
            await client.until(lambda: "CallBroadcast" in client.types("server-1"))

    assert client.starts[0]["channel_id"] == "waiting"
    (told,) = [e for e in client.events["server-1"] if e["type"] == "CallBroadcast"]
    assert told["ari_body"] == broadcast
