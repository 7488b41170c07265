"""The original's transcripts replayed: its client gets the same, byte for byte, from us.

Where the original is wrong (an event or a response that it lost, a 401 for a query in a URL, a
request for a garbled command) only ours is looked at; the tests beside this one say what is right.
"""

import json
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from itertools import zip_longest
from typing import Any

import pytest

from ari_proxy.settings.load import Settings
from tests.support import golden
from tests.support.foreign import foreign_client
from tests.support.running import (
    LegacyClient,
    bus_client,
    running_proxy,
    settings_for,
    until_serving,
)
from tests.support.scripted_asterisk import ScriptedAsterisk, scripted_asterisk
from tests.support.servers import BusServer

Line = dict[str, Any]
#: How a message is published, on NATS and on RabbitMQ.
PUBLISH = {"PUB", "basic.publish"}


def topic_of(line: Line) -> str:
    topic: str = line["subject"] if line["op"] == "PUB" else line["routing_key"]
    return topic


def rest_exchanges(lines: list[Line]) -> Iterator[tuple[str, str, int, str]]:
    """Method, path, status and body of every REST exchange that the original got right."""
    method = path = ""
    for line in lines:
        if line.get("link") != "asterisk.rest":
            continue
        if line["op"] == "request":
            method, target, _ = line["head"].split("\r\n")[0].split(" ")
            path = target.partition("?")[0].removeprefix("/ari")
        elif "raw" in line:
            head, _, body = line["raw"].partition("\r\n\r\n")
            status = int(head.split(" ")[1])
            if status != 401:
                yield method, path, status, body


@dataclass
class Theirs:
    """What the original published for one dialog."""

    events: list[str] = field(default_factory=list)
    #: Commands with their responses; None where there was none or a wrong one.
    commands: list[tuple[bytes, Line | None]] = field(default_factory=list)
    responses: list[Line] = field(default_factory=list)


def published(lines: list[Line]) -> dict[str, Theirs]:
    dialogs: dict[str, Theirs] = {}
    for line in lines:
        if line["op"] not in PUBLISH:
            continue
        kind, _, dialog_id = topic_of(line).partition("_")
        payload = golden.payload(line)
        if kind == "events":
            dialogs.setdefault(dialog_id, Theirs()).events.append(json.loads(payload)["ari_body"])
        elif kind == "commands" and payload != b"DUMMY":
            dialogs.setdefault(dialog_id, Theirs()).commands.append((payload, None))
        elif kind == "responses":
            theirs = dialogs.setdefault(dialog_id, Theirs())
            if line["op"] == "PUB":
                command, _ = theirs.commands[-1]
                theirs.commands[-1] = command, rightly(command, json.loads(payload))
            else:
                theirs.responses.append(json.loads(payload))
    for theirs in dialogs.values():
        if theirs.responses:
            theirs.commands = without_dummy(theirs)
    return dialogs


def without_dummy(theirs: Theirs) -> list[tuple[bytes, Line | None]]:
    """The commands with their own responses: on RabbitMQ the original answers DUMMY as well."""
    of_dummy = next(r for r in theirs.responses if "Resource not found" in r["response_body"])
    theirs.responses.remove(of_dummy)
    # None comes for a command after the StasisEnd.
    answered = zip_longest((command for command, _ in theirs.commands), theirs.responses)
    return [(command, response and rightly(command, response)) for command, response in answered]


def rightly(command: bytes, response: Line) -> Line | None:
    is_garbled = not command.startswith(b"{") or not json.loads(command)["url"]
    return None if is_garbled or response["status_code"] == 401 else response


@asynccontextmanager
async def original_client(
    settings: Settings, bus_server: BusServer, application: str
) -> AsyncIterator[LegacyClient]:
    """A client of the original's kind; on RabbitMQ with another AMQP library than ours."""
    if bus_server.kind == "RABBITMQ":
        async with foreign_client(bus_server.url) as foreign:
            yield LegacyClient(foreign, application)
    else:
        async with bus_client(settings) as bus:
            yield LegacyClient(bus, application)


@pytest.mark.parametrize("transcript", ["lib", "voicemail", "interleave", "core"])
async def test_transcript_of_the_original(transcript: str, bus_server: BusServer) -> None:
    lines = golden.lines(f"goari-{bus_server.kind.lower()}-{transcript}")
    theirs = published(lines)
    config = json.loads(next(line["payload"] for line in lines if line.get("op") == "config"))
    application = config["applications"][0]
    async with scripted_asterisk() as asterisk:
        for exchange in rest_exchanges(lines):
            asterisk.answer(*exchange)
        settings = settings_for(
            bus_server,
            rest_url=asterisk.url,
            websocket_url=asterisk.websocket_url,
            application=application,
        )
        async with (
            bus_client(settings) as bus,
            original_client(settings, bus_server, application) as client,
            running_proxy(settings),
        ):
            await until_serving(bus)
            await client.start()
            ours = await replay(lines, asterisk, client)
            for their_id, their in theirs.items():
                await check(their, ours[their_id], client, asterisk)


async def replay(
    lines: list[Line], asterisk: ScriptedAsterisk, client: LegacyClient
) -> dict[str, str]:
    """Do what Asterisk and the client did, in order; return our dialog ids by theirs."""
    ours: dict[str, str] = {}
    for line in lines:
        if line["op"] == "event":
            await asterisk.push(asterisk.renamed(golden.payload(line).decode()))
        elif line["op"] not in PUBLISH:
            continue
        elif line["dir"] == "proxy>bus" and "_" not in topic_of(line):
            theirs = json.loads(line["payload"])["dialog_id"]
            await client.until(lambda: len(client.starts) > len(ours))
            ours[theirs] = client.starts[len(ours)]["dialog_id"]
        elif topic_of(line).startswith("commands_"):
            payload = asterisk.renamed(golden.payload(line).decode())
            if payload != "DUMMY":
                await client.send(ours[topic_of(line).partition("_")[2]], payload.encode())
    return ours


async def check(
    theirs: Theirs, dialog_id: str, client: LegacyClient, asterisk: ScriptedAsterisk
) -> None:
    frames = [asterisk.renamed(frame) for frame in theirs.events]
    await client.until(lambda: is_subsequence(frames, bodies(client, dialog_id)))
    events = client.events[dialog_id]
    assert [event["sequence"] for event in events] == list(range(1, len(events) + 1))
    assert len(client.responses[dialog_id]) == len(theirs.commands)
    for ours, (_, response) in zip(client.responses[dialog_id], theirs.commands, strict=True):
        if response is not None:
            assert ours == json.loads(asterisk.renamed(json.dumps(response)))


def bodies(client: LegacyClient, dialog_id: str) -> list[str]:
    return [event["ari_body"] for event in client.events[dialog_id]]


def is_subsequence(wanted: list[str], found: list[str]) -> bool:
    remaining = iter(found)
    return all(frame in remaining for frame in wanted)
