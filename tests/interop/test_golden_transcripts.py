"""The original's transcripts replayed: its client gets the same, byte for byte, from us.

Where the original is wrong (an event or a response that it lost, a 401 for a query in a URL, a
request for a garbled command) only ours is looked at; the tests beside this one say what is right.
"""

import json
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

import pytest

from tests.support import golden
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


def published(lines: list[Line]) -> dict[str, Theirs]:
    dialogs: dict[str, Theirs] = {}
    for line in lines:
        if line.get("op") != "PUB":
            continue
        kind, _, dialog_id = line["subject"].partition("_")
        payload = golden.payload(line)
        if kind == "events":
            dialogs.setdefault(dialog_id, Theirs()).events.append(json.loads(payload)["ari_body"])
        elif kind == "commands" and payload != b"DUMMY":
            dialogs.setdefault(dialog_id, Theirs()).commands.append((payload, None))
        elif kind == "responses":
            commands = dialogs[dialog_id].commands
            commands[-1] = (commands[-1][0], rightly(commands[-1][0], json.loads(payload)))
    return dialogs


def rightly(command: bytes, response: Line) -> Line | None:
    is_garbled = not command.startswith(b"{") or not json.loads(command)["url"]
    return None if is_garbled or response["status_code"] == 401 else response


@pytest.mark.parametrize("transcript", ["lib", "voicemail", "interleave", "core"])
async def test_transcript_of_the_original(transcript: str, bus_server: BusServer) -> None:
    lines = golden.lines(f"goari-nats-{transcript}")
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
        async with bus_client(settings) as bus, running_proxy(settings):
            await until_serving(bus)
            client = LegacyClient(bus, application)
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
        elif line["op"] == "PUB" and line["dir"] == "proxy>bus" and "_" not in line["subject"]:
            theirs = json.loads(line["payload"])["dialog_id"]
            await client.until(lambda: len(client.starts) > len(ours))
            ours[theirs] = client.starts[len(ours)]["dialog_id"]
        elif line["op"] == "PUB" and line["subject"].startswith("commands_"):
            payload = asterisk.renamed(golden.payload(line).decode())
            if payload != "DUMMY":
                await client.send(ours[line["subject"].partition("_")[2]], payload.encode())
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
