"""docs/reference/asyncapi.yaml says what wire.md says, and what was recorded is valid by it."""

import json
import re
from functools import cache
from typing import Any

import jsonschema_rs
import pytest
import yaml

from ari_proxy import schemas
from ari_proxy.ari.errors import UnreachableError
from ari_proxy.command.errors import RejectedError
from ari_proxy.command.refusals import Refusals
from ari_proxy.command.telemetry import CommandTelemetry
from ari_proxy.ingest.routing import proxy_events
from ari_proxy.protocol import ids, messages
from ari_proxy.protocol.ids import ServerId
from tests.support import asyncapi
from tests.support.event_path import SERVER
from tests.support.execution import execution
from tests.support.golden import DATA, lines, payload

WIRE = (asyncapi.DOCUMENT.parent / "wire.md").read_text()
DOCUMENT: Any = yaml.safe_load(asyncapi.DOCUMENT.read_text())
MESSAGES = DOCUMENT["components"]["messages"]

GOLDEN = [path.stem for path in (DATA / "golden").glob("*.jsonl")]
#: What the transcripts' client has sent on purpose, beside commands.
NO_MESSAGES = (b"DUMMY", b"not json")

REGISTRY = jsonschema_rs.Registry(
    [
        ("wire:///asyncapi.yaml", DOCUMENT),
        *(
            (f"wire:///schemas/{name}", json.loads(text))
            for name, text in schemas.documents().items()
        ),
    ],
    draft=jsonschema_rs.Draft202012,
)


def table(head: str) -> list[list[str]]:
    """Return the cells of the table of wire.md that begins with a line."""
    rows = WIRE.partition(f"\n{head}\n")[2].partition("\n\n")[0].splitlines()
    assert len(rows) > 1, f"wire.md has no table {head!r}"
    return [[cell.strip() for cell in row.strip("|").split("|")] for row in rows[1:]]


def code(cell: str) -> list[str]:
    return re.findall(r"`([^`]+)`", cell)


@cache
def validator(*path: str) -> jsonschema_rs.Validator:
    """Return the validator of a schema in the document."""
    reference = {"$ref": "wire:///asyncapi.yaml#/" + "/".join(path)}
    return jsonschema_rs.validator_for(reference, registry=REGISTRY)


@cache
def validator_of_channel(channel: str) -> jsonschema_rs.Validator:
    """Return the validator of a channel: each message is of one kind, and of no other."""
    kinds = [
        {"$ref": f"wire:///asyncapi.yaml#/components/messages/{name}/payload"}
        for name in DOCUMENT["channels"][channel]["messages"]
    ]
    return jsonschema_rs.validator_for({"oneOf": kinds}, registry=REGISTRY)


def check_event(channel: str, event: dict[str, Any]) -> None:
    """Check an Event, and what it carries."""
    validator_of_channel(channel).validate(event)
    path = "components", "messages", event["type"], "payload", "allOf", "1", "properties"
    validator(*path, "ari_body", "contentSchema").validate(json.loads(event["ari_body"]))


def test_document_is_that_of_the_code() -> None:
    assert asyncapi.DOCUMENT.read_text() == asyncapi.text(), "make reference writes it anew"


def test_topics_are_those_of_the_wire() -> None:
    carried = {}
    for topic, carries, parties in table("| topic | carries | from → to |"):
        if "internal" not in carries:
            name = re.sub("<dialog>", "{dialog_id}", topic.strip("`"))
            kind = re.search(r"AppStart|CommandResponse|Command|Event", carries)
            assert kind is not None
            action = "receive" if parties.endswith("command") else "send"
            carried[re.sub(r"<(\w+)>", r"{\1}", name)] = kind[0], action

    channels = {name: c for name, c in DOCUMENT["channels"].items() if c["address"]}
    described = {c["address"]: (_kind(c), _action(name)) for name, c in channels.items()}
    assert described == carried


def _kind(channel: Any) -> str:
    """Return the one struct that a channel's messages are made of."""
    text = json.dumps([MESSAGES[name]["payload"] for name in channel["messages"]])
    kinds = set(re.findall(r"schemas/messages\.json#/\$defs/(\w+)", text))
    (kind,) = {kind.removeprefix("Server") for kind in kinds}
    return str(kind)


def _action(channel: str) -> str:
    """Return what ari-proxy does on a channel; responses are the reply to what it has received."""
    reference = {"$ref": f"#/channels/{channel}"}
    operations = DOCUMENT["operations"].values()
    actions = {it["action"] for it in operations if it["channel"] == reference}
    actions |= {"send" for it in operations if it.get("reply", {}).get("channel") == reference}
    (action,) = actions
    return str(action)


@pytest.mark.parametrize(
    ("heading", "name"),
    [
        ("AppStart", "AppStart"),
        ("Event", "Event"),
        ("Command", "Command"),
        ("CommandResponse", "ServerCommandResponse"),
    ],
)
def test_fields_are_those_of_the_wire(heading: str, name: str) -> None:
    rows = table(f"**{heading}**\n\n| field | | |")
    documented = {code(field)[0]: kind.partition(",")[0] for field, kind, _ in rows}

    properties = schemas.bundle(schemas.MESSAGES)["$defs"][name]["properties"]
    assert {field: it["type"] for field, it in properties.items()} == documented


def test_own_events_are_those_of_the_wire() -> None:
    rows = table("| type | fields | meaning |")
    documented = {code(kind)[0]: set(code(fields)) for kind, fields, _ in rows}

    definitions = schemas.bundle(schemas.EVENTS)["$defs"]
    common = set(definitions["ProxyProbe"]["properties"])
    own = [name for name in MESSAGES if name.startswith("Proxy")]
    assert {name: set(definitions[name]["properties"]) - common for name in own} == documented


@pytest.mark.parametrize(
    ("event", "head"),
    [("ProxyGap", "| `reason` | cause | `count` |"), ("ProxyDialogEnded", "| `reason` | cause |")],
)
def test_reasons_are_those_of_the_wire(event: str, head: str) -> None:
    documented = [code(row[0])[0] for row in table(head)]

    body = MESSAGES[event]["payload"]["allOf"][1]["properties"]["ari_body"]["contentSchema"]
    assert body["allOf"][1]["properties"]["reason"]["examples"] == documented


def test_errors_are_those_of_the_wire() -> None:
    rows = table("| status | `error` | when |")
    documented = {(int(status), code(error)[0]) for status, error, _ in rows}

    error = DOCUMENT["components"]["schemas"]["ProxyError"]
    described = {(s, name) for name, statuses in error["x-statuses"].items() for s in statuses}
    assert described == documented
    assert set(error["properties"]["error"]["enum"]) == {name for _, name in documented}


def test_queues_are_those_of_the_original() -> None:
    """As the transcripts of go-ari-proxy declare them; any other declaration ends a channel."""
    declared = [
        line
        for name in GOLDEN
        for line in lines(name)
        if line["op"] == "queue.declare" and line["dir"].startswith("client")
    ]
    bindings = {
        channel["address"]: channel["bindings"]["amqp"].get("queue")
        for channel in DOCUMENT["channels"].values()
        if channel["address"]
    }
    (described,) = {json.dumps(queue, sort_keys=True) for queue in bindings.values() if queue}

    assert {json.dumps(_queue(line["flags"]), sort_keys=True) for line in declared} == {described}
    assert {address for address, queue in bindings.items() if queue is None} == {
        "events_{server_id}",
        "responses_{server_id}",
    }


def _queue(flags: dict[str, bool]) -> dict[str, bool]:
    return {
        "durable": flags["durable"],
        "exclusive": flags["exclusive"],
        "autoDelete": flags["auto_delete"],
    }


def test_examples_are_ids_of_one_server() -> None:
    parameters = DOCUMENT["components"]["parameters"]
    (server,) = parameters["server_id"]["examples"]
    dialogs = parameters["dialog_id"]["examples"]

    assert [ids.form_of(ids.dialog_id(ServerId(server), it)) for it in dialogs] == ["token", "uuid"]


@pytest.mark.parametrize("transcript", GOLDEN)
def test_every_message_of_the_original_is_valid(transcript: str) -> None:
    """On NATS and RabbitMQ, of the proxy and of clients."""
    channels = {
        "events_": "dialogEvents",
        "responses_": "dialogResponses",
        "commands_": "dialogCommands",
        "": "application",
    }
    counts = dict.fromkeys(channels, 0)
    for line in lines(transcript):
        if line["op"] not in {"PUB", "basic.publish"} or payload(line) in NO_MESSAGES:
            continue
        topic = line.get("subject", line.get("routing_key", ""))
        prefix = next(it for it in channels if topic.startswith(it))
        counts[prefix] += 1
        message = json.loads(payload(line))
        if prefix == "events_":
            check_event("dialogEvents", message)
        else:
            validator_of_channel(channels[prefix]).validate(message)

    assert min(counts.values()) > 0


def test_every_recorded_event_is_valid_on_both_topics() -> None:
    encoder = messages.EventEncoder(ServerId("asterisk-1"))
    seen = 0
    for path in (DATA / "recordings").rglob("*.jsonl"):
        for line in map(json.loads, path.read_text().splitlines()):
            if line["dir"] == "event":
                kind = json.loads(line["frame"])["type"]
                event = json.loads(encoder.encode(line["frame"], kind, "2026", "a.b", 1))
                check_event("dialogEvents", event)
                validator_of_channel("serverEvents").validate(event)
                seen += 1

    assert seen > 1_000


def test_own_events_are_valid_where_they_are_sent() -> None:
    encoder = messages.EventEncoder(ServerId("asterisk-1"))
    for channel, text in (
        ("dialogEvents", proxy_events.Gap("buffer_full", 1.0, lost=3).event("a", 2.0)),
        ("dialogEvents", proxy_events.dialog_ended("a", ["c"], 2.0, "channels_gone")),
        ("dialogEvents", proxy_events.probe("a", 2.0)),
        ("serverEvents", proxy_events.recovered(["d"], 2.0, "ingest_restarted")),
    ):
        kind = json.loads(text)["type"]
        check_event(channel, json.loads(encoder.encode(text, kind, "2026", "", 0)))

    newer = encoder.encode('{"type":"Newer"}', "Newer", "2026", "a.b", 1)
    validator_of_channel("dialogEvents").validate(json.loads(newer))
    recovered = encoder.encode("{}", "ProxyRecovered", "2026", "", 0)
    assert not validator_of_channel("dialogEvents").is_valid(json.loads(recovered))


async def test_errors_of_ours_are_valid() -> None:
    body = "components", "messages", "CommandResponse", "payload", "allOf", "1", "then"
    known = validator(*body, "properties", "response_body", "contentSchema")
    async with execution() as it:
        telemetry = CommandTelemetry(SERVER, it.path.metrics, it.path.tap, it.path.traces)
        for error in (
            RejectedError(403, "policy", "no"),
            UnreachableError("GET", "/x", "gone", sent=False),
        ):
            known.validate(json.loads(Refusals(telemetry).answer(error).body))

    assert not known.is_valid({"message": "", "error": "ari_proxy.unheard_of", "sent": True})


def test_an_array_of_commands_is_one_message() -> None:
    known = validator_of_channel("dialogCommands")
    command = {"unique_id": "1", "url": "/channels", "method": "GET", "body": ""}

    known.validate(command)
    known.validate([command, command])
    assert not known.is_valid([command] * (messages.MAX_COMMANDS + 1))
    assert not known.is_valid([{"unique_id": 1}])
