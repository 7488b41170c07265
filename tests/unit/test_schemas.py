"""The JSON Schemas are what Asterisk, the original and ari-proxy have sent."""

import json
from typing import Any

import jsonschema_rs
import pytest
from typer.testing import CliRunner

from ari_proxy import schemas
from ari_proxy.cli import app
from ari_proxy.ingest.routing import proxy_events
from tests.support.golden import DATA, bus_payloads
from tests.support.reference import DOCS

TRANSCRIPTS = ["goari-nats-core", "goari-nats-voicemail", "goari-nats-lib", "goari-nats-interleave"]

#: What the transcripts' client has sent on purpose, beside commands.
NO_MESSAGES = (b"DUMMY", b"not json")


def validator(name: str) -> jsonschema_rs.Validator:
    return jsonschema_rs.validator_for(schemas.schema(name), validate_formats=True)


def test_documents_are_those_of_the_code() -> None:
    written = {path.name: path.read_text() for path in (DOCS / "schemas").glob("*.json")}

    assert written == schemas.documents(), "make reference writes them anew"


@pytest.mark.parametrize("name", [*schemas.MESSAGES, *schemas.EVENTS])
def test_each_is_a_schema(name: str) -> None:
    jsonschema_rs.meta.validate(schemas.schema(name))


def test_every_recorded_event_is_valid() -> None:
    validators: dict[str, jsonschema_rs.Validator] = {}
    seen = 0
    for path in (DATA / "recordings").rglob("*.jsonl"):
        for line in map(json.loads, path.read_text().splitlines()):
            if line["dir"] != "event":
                continue
            event = json.loads(line["frame"])
            name = event["type"]
            known = validators.setdefault(name, validators.get(name) or validator(name))
            known.validate(event)
            seen += 1

    assert seen > 1_000
    assert len(validators) > 25


@pytest.mark.parametrize("transcript", TRANSCRIPTS)
def test_every_message_of_the_original_is_valid(transcript: str) -> None:
    sent = [
        ("Event", "events_", "proxy"),
        ("CommandResponse", "responses_", "proxy"),
        ("Command", "commands_", "client"),
    ]
    count = 0
    for name, topic, sender in sent:
        known = validator(name)
        for payload in bus_payloads(transcript, topic, sender=sender):
            if payload not in NO_MESSAGES:
                known.validate(json.loads(payload))
                count += 1

    assert count > 5


def test_the_proxys_own_events_are_valid() -> None:
    own = [
        proxy_events.Gap("websocket_lost", 1.0, lost=3).event("a", 2.0),
        proxy_events.Gap("ingest_restarted").event("a", 2.0),
        proxy_events.dialog_ended("a", ["c"], 2.0, "channels_gone"),
        proxy_events.recovered(["d"], 2.0, "ingest_restarted"),
        proxy_events.probe("a", 2.0),
    ]
    for text in own:
        event: dict[str, Any] = json.loads(text)
        validator(event["type"]).validate(event)


def test_what_is_missing_or_wrong_is_found() -> None:
    known = validator("ChannelHold")

    for wrong in (
        {"type": "ChannelHold"},
        {"type": "StasisEnd", "application": "a", "timestamp": "t", "channel": {}},
    ):
        assert not known.is_valid(wrong)


def test_the_command_line_prints_them() -> None:
    runner = CliRunner()

    listed = runner.invoke(app, ["schema"]).output.splitlines()
    printed = runner.invoke(app, ["schema", "StasisStart"])
    unknown = runner.invoke(app, ["schema", "Nope"])

    assert listed[:3] == ["AppStart", "AppStartReply", "Command"]
    assert len(listed) == 6 + 49
    assert json.loads(printed.output) == schemas.schema("StasisStart")
    assert unknown.exit_code == 1
    assert "there is no schema 'Nope'; `ari-proxy schema` lists all" in unknown.output


def test_the_command_line_checks_messages() -> None:
    runner = CliRunner()
    body = json.dumps({"type": "StasisEnd", "application": "a", "timestamp": "never"})
    event = {"server_id": "s", "timestamp": "t", "type": "StasisEnd", "ari_body": body}
    lines = [
        '{"unique_id":"1","url":"/channels","method":"GET","body":""}',
        '{"unique_id":1}',
        "not json",
    ]

    mixed = runner.invoke(app, ["validate", "Command"], input="\n".join(lines))
    fine = runner.invoke(app, ["validate", "Command"], input=lines[0])
    inner = runner.invoke(app, ["validate", "Event"], input=json.dumps(event))
    unknown = runner.invoke(app, ["validate", "Nope"], input=lines[0])

    assert mixed.exit_code == 1
    assert [line.partition(":")[0] for line in mixed.output.splitlines()] == ["line 2", "line 3"]
    assert "`$.unique_id`" in mixed.output
    assert (fine.exit_code, fine.output) == (0, "")
    assert inner.output.startswith("line 1: ari_body: ")
    assert "there is no schema 'Nope'" in unknown.output
