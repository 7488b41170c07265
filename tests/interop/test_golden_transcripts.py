"""The original's transcripts replayed: what its client sent is answered, byte for byte."""

import json
from typing import Any

import pytest

from tests.support import golden
from tests.support.running import LegacyClient, bus_client, running_proxy, settings_for
from tests.support.scripted_asterisk import ScriptedAsterisk, scripted_asterisk
from tests.support.servers import NatsServer


def rest_exchanges(lines: list[dict[str, Any]]) -> list[tuple[str, str, int, str]]:
    """Method, path, status and body of every REST exchange that the original got right."""
    found = []
    method = path = ""
    for line in lines:
        if line.get("link") != "asterisk.rest":
            continue
        if line["op"] == "request":
            method, target, _ = line["head"].split("\r\n")[0].split(" ")
            path = target.partition("?")[0].removeprefix("/ari")
        elif "raw" in line:
            head, _, body = line["raw"].partition("\r\n\r\n")
            found.append((method, path, int(head.split(" ")[1]), body))
    return [exchange for exchange in found if exchange[2] != 401]


def replayable(lines: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """The client's commands and Asterisk's events, up to the first one outside of a normal call."""
    return [
        line
        for line in lines
        if (line.get("link") == "asterisk.ws" and line["op"] == "event")
        or (
            line.get("op") == "PUB"
            and line.get("dir") == "client>bus"
            and line["subject"].startswith("commands_")
            and golden.payload(line).startswith(b"{")
        )
    ]


@pytest.mark.parametrize("transcript", ["goari-nats-lib", "goari-nats-voicemail"])
async def test_transcript_of_the_original_client(transcript: str, nats_server: NatsServer) -> None:
    lines = golden.lines(transcript)
    config = json.loads(next(line["payload"] for line in lines if line.get("op") == "config"))
    application = config["applications"][0]
    async with scripted_asterisk() as asterisk:
        for exchange in rest_exchanges(lines):
            asterisk.answer(*exchange)
        settings = settings_for(
            nats_server.url,
            rest_url=asterisk.url,
            websocket_url=asterisk.websocket_url,
            application=application,
        )
        async with bus_client(settings) as bus, running_proxy(settings):
            client = LegacyClient(bus, application)
            await client.start()
            await replay(lines, asterisk, client)

            (dialog_id,) = client.events
            ours = client.responses[dialog_id]
            theirs = [
                json.loads(body)
                for body in golden.bus_payloads(transcript, "responses_", sender="proxy")
            ]
            assert ours == theirs
            frames = [golden.payload(line).decode() for line in lines if line["op"] == "event"]
            assert [event["ari_body"] for event in client.events[dialog_id]] == frames
            assert [event["sequence"] for event in client.events[dialog_id]] == [
                number + 1 for number in range(len(frames))
            ]


async def replay(
    lines: list[dict[str, Any]], asterisk: ScriptedAsterisk, client: LegacyClient
) -> None:
    dialog_id = ""
    events = 0
    for line in replayable(lines):
        if line["op"] == "event":
            await asterisk.push(golden.payload(line).decode())
            events += 1
            dialog_id = dialog_id or await client.first_dialog()
            await client.until_events(dialog_id, events)
        else:
            command = json.loads(golden.payload(line))
            await client.command(dialog_id, command["method"], command["url"], command["body"])
