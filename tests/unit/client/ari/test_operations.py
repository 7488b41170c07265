"""Each generated operation makes the request of Asterisk's description, and reads its answer."""

import inspect
import json
import re
from typing import Any

import pytest

from ari_proxy.ari import operations as known
from ari_proxy.client.ari import Ari, AriAnswer, models
from ari_proxy.client.ari.model import Model
from ari_proxy.client.ari.requests import ReportedVariable, Request
from ari_proxy.client.ari.resource import AriAnswered
from ari_proxy.client.errors import AnswerLost, Conflict, NotFound, Unsupported
from generator import corrections, naming
from generator.description import NEWEST, Operation, Resource, read
from tests.support.golden import recorded

DESCRIPTION = read(NEWEST)
OPERATIONS = [
    (resource, operation)
    for resource in DESCRIPTION.resources
    for operation in naming.methods(resource)
]
CHANNEL = next(
    line["body"]
    for line in recorded("22", "b_bridge")
    if line["dir"] == "response" and '"id":"b-chan-a"' in line["body"]
)


class Recorder:
    """Answers each request as told, and keeps it."""

    def __init__(self, status: int = 200, body: str | bytes = "", version: str = "") -> None:
        self.answer = AriAnswer(status, body)
        self.asterisk_version = version
        self.requests: list[tuple[str, str, str]] = []

    async def request(self, method: str, url: str, body: str) -> AriAnswer:
        self.requests.append((method, url, body))
        return self.answer


def method_of(ari: Ari, resource: Resource, operation: Operation) -> Any:
    return getattr(getattr(ari, naming.snake(resource.name)), naming.method(resource, operation))


def value_of(annotation: str) -> object:
    """Return a value that an annotation allows."""
    literal = re.match(r"Literal\['([^']*)'", annotation)
    if literal:
        return literal[1]
    if annotation.startswith("Mapping"):
        return {"a": "b"}
    if annotation.startswith("Sequence"):
        return []
    return {"int": 7, "bool": True}.get(annotation, "x")


@pytest.mark.parametrize(
    ("resource", "operation"),
    OPERATIONS,
    ids=lambda part: part.name if isinstance(part, Resource) else part.nickname,
)
async def test_every_parameter_reaches_asterisk(resource: Resource, operation: Operation) -> None:
    transport = Recorder(404, '{"message":"nope"}')
    method = method_of(Ari(transport), resource, operation)
    arguments = {
        naming.argument(parameter): value_of(naming.argument_type(resource, operation, parameter))
        for parameter in operation.parameters
    }

    with pytest.raises(NotFound, match=r"nope"):
        await method(**arguments)

    ((sent_method, url, body),) = transport.requests
    path, _, query = url.partition("?")
    assert sent_method == operation.method
    assert known.template_of(path) == operation.path
    names = {part.partition("=")[0] for part in query.split("&") if part}
    assert names == {p.name for p in operation.parameters if p.place == "query"}
    fields = {p.name for p in operation.parameters if p.place == "body"}
    is_whole = (resource.name, operation.nickname) in corrections.WHOLE_BODIES
    assert set(json.loads(body or "{}")) == ({"a"} if is_whole else fields)


def test_all_operations_but_the_websocket_are_there() -> None:
    assert len(OPERATIONS) == 103
    assert not hasattr(Ari(Recorder()).events, "event_websocket")
    assert sum(1 for _ in DESCRIPTION.operations()) == 109


@pytest.mark.parametrize("version", ["22", "16"])
@pytest.mark.parametrize(
    "scenario", ["b_bridge", "d_recording", "e_variables_snoop_continue_move", "h_create_dial"]
)
def test_recorded_answers_are_read(version: str, scenario: str) -> None:
    returned = {(o.path, o.method): o.returns for _, o in DESCRIPTION.operations()}
    requests: dict[int, tuple[str, str]] = {}
    count = 0
    for line in recorded(version, scenario):
        if line["dir"] == "request":
            path = line["path"].removeprefix("/ari").partition("?")[0]
            requests[line["id"]] = (known.template_of(path), line["method"])
        elif line["dir"] == "response" and line["status"] == 200:
            kind = returned.get(requests[line["id"]], "void")
            name = kind.removeprefix("List[").removesuffix("]")
            if hasattr(models, name):
                count += 1
                read_answer(kind, getattr(models, name), line["body"])

    assert count > 1


def read_answer(kind: str, model: type[Model], body: str) -> None:
    """Read an answer as the generated method does."""
    answered = AriAnswered(Request("GET", "/", "", "test"), body)
    found = answered.many(model) if kind.startswith("List") else (answered.one(model),)
    assert all(one.raw for one in found)


async def test_an_answer_is_a_model_that_keeps_what_it_does_not_know() -> None:
    newer = CHANNEL[:-1] + ',"colour":"green"}'
    transport = Recorder(200, newer)

    channel = await Ari(transport).channels.originate(
        "PJSIP/200", app="ivr", variables={"A": ReportedVariable("1")}, channel_id="c"
    )

    assert (channel.id, channel.state, channel.caller.number) == ("b-chan-a", "Down", "")
    assert json.loads(channel.raw)["colour"] == "green"
    assert "raw" not in repr(channel)
    assert transport.requests[0][1] == "/channels?endpoint=PJSIP%2F200&app=ivr&channelId=c"


async def test_lists_bytes_and_nothing_are_returned() -> None:
    listed = await Ari(Recorder(200, f"[{CHANNEL},{CHANNEL}]")).channels.list()
    assert [channel.raw for channel in listed] == [CHANNEL, CHANNEL]

    sound = await Ari(Recorder(200, b"RIFF\xff")).recordings.get_stored_file("a")
    assert sound == b"RIFF\xff"
    text = await Ari(Recorder(200, "Dear all")).recordings.get_stored_file("a")
    assert text == b"Dear all"

    await Ari(Recorder(204)).channels.answer("c")


async def test_an_answer_that_can_not_be_used_is_executed_all_the_same() -> None:
    with pytest.raises(AnswerLost, match=r"channels.get .*it is no Channel") as lost:
        await Ari(Recorder(200, '{"id":1}')).channels.get("c")
    assert lost.value.sent is True

    with pytest.raises(AnswerLost, match="survive on a bus"):
        await Ari(Recorder(200, "RIFF\ufffd")).recordings.get_stored_file("a")
    with pytest.raises(AnswerLost, match=r"channels\.list"):
        await Ari(Recorder(200, "{}")).channels.list()


async def test_an_older_asterisk_is_not_asked() -> None:
    transport = Recorder(version="16.28.0~dfsg-0+deb11u4")

    with pytest.raises(Unsupported, match=r"events.claim needs Asterisk 20.20, 22.10, 23.4"):
        await Ari(transport).events.claim("c", "ivr")

    assert transport.requests == []


async def test_documented_errors_are_those_that_are_raised() -> None:
    transport = Recorder(409, '{"message":"Channel not in Stasis application"}')

    with pytest.raises(Conflict, match="not in Stasis"):
        await Ari(transport).channels.answer("c")

    documentation = inspect.getdoc(Ari(transport).channels.answer) or ""
    assert "NotFound: there is no such object (404)." in documentation
    assert "InvalidState" in documentation
    assert "since Asterisk 12.0." in documentation
