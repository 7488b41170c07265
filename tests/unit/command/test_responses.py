"""Responses on the owner's topic and on the reply subject, never larger than the bus takes."""

import json

import pytest

from ari_proxy.bus.base import Message
from ari_proxy.command.refusals import Refusals
from ari_proxy.command.responses import Responses
from ari_proxy.command.telemetry import CommandTelemetry
from ari_proxy.protocol import messages, topics
from ari_proxy.protocol.messages import CommandResponse
from tests.support.event_path import SERVER
from tests.support.execution import DIALOG, Execution, error_of, execution
from tests.support.running import until

REPLY = "_INBOX.test"


def responses_of(it: Execution) -> Responses:
    path = it.path
    telemetry = CommandTelemetry(SERVER, path.metrics, path.tap, path.traces)
    return Responses(path.bus, Refusals(telemetry), telemetry)


def message(payload: bytes, reply: str = REPLY) -> Message:
    return Message(topics.commands(DIALOG), payload, reply)


async def test_response_goes_to_the_topic_of_its_owner() -> None:
    async with execution() as it:
        got = await it.path.application.listen(topics.responses(DIALOG))
        responses_of(it).respond(DIALOG, CommandResponse("1", 200, "{}"), traceparent="t")
        await until(lambda: got)

    assert json.loads(got[0].payload)["unique_id"] == "1"
    assert got[0].traceparent == "t"


@pytest.mark.parametrize(("payload", "is_array"), [(b"{}", False), (b" [{}]", True)])
async def test_reply_has_the_form_of_the_request(payload: bytes, *, is_array: bool) -> None:
    async with execution() as it:
        got = await it.path.application.listen(REPLY)
        responses_of(it).reply(message(payload), [CommandResponse("1", 200, "{}")])
        await until(lambda: got)

    content = json.loads(got[0].payload)
    assert (content[0] if is_array else content)["unique_id"] == "1"


async def test_response_that_no_message_holds_becomes_a_refusal() -> None:
    async with execution() as it:
        responses = responses_of(it)
        limit = it.path.bus.max_message_bytes
        fits = CommandResponse("1", 200, "x" * (limit // 2))
        large = CommandResponse("1", 200, "x" * limit)
        escaped = CommandResponse("1", 200, "<" * (limit // 4))  # Six times as long in Go's form.

        assert responses.limit_size(fits) is fits
        assert error_of(responses.limit_size(large)) == (502, "too_large", True)
        assert error_of(responses.limit_size(escaped)) == (502, "too_large", True)


@pytest.mark.parametrize("size", ["x", "<"], ids=["long", "long when encoded"])
async def test_array_that_no_message_holds_has_a_refusal_for_each_command(size: str) -> None:
    async with execution() as it:
        got = await it.path.application.listen(REPLY)
        body = size * (it.path.bus.max_message_bytes // 3)
        found = [CommandResponse(str(number), 200, body) for number in range(4)]
        responses_of(it).reply(message(b"[]"), found)
        await until(lambda: got)

    content = [CommandResponse(**one) for one in json.loads(got[0].payload)]
    assert [one.unique_id for one in content] == ["0", "1", "2", "3"]
    assert {error_of(one) for one in content} == {(502, "too_large", True)}


async def test_array_whose_refusals_no_message_holds_has_one_for_all() -> None:
    async with execution() as it:
        got = await it.path.application.listen(REPLY)
        unique_id = "<" * 1000
        limit = it.path.bus.max_message_bytes
        count = limit // len(messages.encode(CommandResponse(unique_id, 502, ""))) + 1
        responses_of(it).reply(message(b"[]"), [CommandResponse(unique_id, 200, "")] * count)
        await until(lambda: got)

    (content,) = (CommandResponse(**one) for one in json.loads(got[0].payload))
    assert content.unique_id == ""
    assert error_of(content) == (502, "too_large", True)
