"""Commands off the bus and their responses, with and without traces, on both buses in memory."""

import asyncio
import json

import pytest

from ari_proxy.bus.base import Message
from ari_proxy.protocol import topics
from ari_proxy.protocol.messages import DUMMY
from ari_proxy.telemetry.traces import Traces
from tests.support.command_service import COMMANDS, RESPONSES, command, served
from tests.support.event_path import SERVER
from tests.support.execution import OTHER
from tests.support.running import until

TRACEPARENT = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01"


@pytest.fixture(params=[False, True], ids=["fleeting", "durable"])
def is_durable(request: pytest.FixtureRequest) -> bool:
    return bool(request.param)


async def test_command_gets_one_response_and_the_dummy_none(
    traces: Traces, *, is_durable: bool
) -> None:
    async with served(traces=traces, is_durable=is_durable) as it:
        it.client.bus.publish(COMMANDS, DUMMY)
        it.send(command(1))
        it.send(command(2, method="DELETE"))
        found = await it.responses(2)

    assert [(one["unique_id"], one["status_code"]) for one in found] == [("1", 204), ("2", 204)]
    assert [request.method for request in it.asterisk.requests] == ["GET", "DELETE"]


async def test_response_carries_the_trace_of_its_command_where_traces_are_on(
    traces: Traces,
) -> None:
    async with served(traces=traces) as it:
        it.send(command(1), traceparent=TRACEPARENT)
        await it.responses(1)

    (response,) = it.client.messages[RESPONSES]
    expected = TRACEPARENT.split("-")[1] if traces.is_on else ""
    assert response.traceparent[3:35] == expected


async def test_commands_of_a_dialog_are_executed_in_order_and_others_side_by_side() -> None:
    async with served() as it:
        await it.client.listen(topics.responses(OTHER))
        it.asterisk.hold = asyncio.Event()
        for number in range(3):
            it.send(command(number, f"/channels/{number}"))
        payload = json.dumps(command("other", "/channels/other")).encode()
        it.client.bus.publish(topics.commands(OTHER), payload)
        await until(lambda: len(it.asterisk.requests) == 2)
        before = sorted(request.target for request in it.asterisk.requests)
        it.asterisk.hold.set()
        found = await it.responses(3)

    assert before == ["/ari/channels/0", "/ari/channels/other"]
    assert [one["unique_id"] for one in found] == ["0", "1", "2"]


async def test_array_is_answered_one_by_one_and_as_an_array_on_its_reply_subject(
    traces: Traces,
) -> None:
    async with served(traces=traces) as it:
        replies = await it.client.listen("_INBOX.test")
        it.send(command(1), command(2), reply="_INBOX.test")
        found = await it.responses(2)
        await until(lambda: replies)

    assert [one["unique_id"] for one in json.loads(replies[0].payload)] == ["1", "2"]
    assert [one["unique_id"] for one in found] == ["1", "2"]


async def test_what_is_no_command_is_answered_and_the_next_one_executed() -> None:
    async with served() as it:
        it.client.bus.publish(COMMANDS, b"{")
        it.send(command(1))
        found = await it.responses(2)

    assert [one["status_code"] for one in found] == [400, 204]


async def test_more_commands_than_may_wait_are_refused() -> None:
    async with served(max_pending=1) as it:
        it.asterisk.hold = asyncio.Event()
        it.send(command(1))
        await until(lambda: it.asterisk.requests)
        it.send(command(2))
        (refused,) = await it.responses(1)
        it.asterisk.hold.set()
        found = await it.responses(2)

    assert (refused["unique_id"], refused["status_code"]) == ("2", 503)
    assert (found[1]["unique_id"], found[1]["status_code"]) == ("1", 204)
    assert len(it.asterisk.requests) == 1


async def test_commands_that_were_taken_are_answered_when_the_service_stops() -> None:
    async with served() as it:
        it.asterisk.hold = asyncio.Event()
        it.send(command(1))
        await until(lambda: it.asterisk.requests)
        it.stop.set()
        it.asterisk.hold.set()
        found = await it.responses(1)

    assert found[0]["status_code"] == 204


async def test_command_without_an_answer_in_time_is_answered_when_the_service_stops() -> None:
    async with served(drain_seconds=0.05) as it:
        it.asterisk.hold = asyncio.Event()
        it.send(command(1))
        await until(lambda: it.asterisk.requests)
        it.stop.set()
        found = await it.responses(1)
        it.asterisk.hold.set()

    assert found[0]["status_code"] == 504
    assert json.loads(found[0]["response_body"])["error"] == "ari_proxy.drain"


async def test_answer_that_no_message_holds_is_told_as_such(traces: Traces) -> None:
    async with served(traces=traces) as it:
        text = '"' + "<" * 400_000 + '"'  # Six times as long in Go's form.
        it.asterisk.answer("GET", "/channels/c", 200, text)
        it.send(command(1))
        found = await it.responses(1)

    assert (found[0]["unique_id"], found[0]["status_code"]) == ("1", 502)


async def test_command_of_the_server_is_answered_on_its_topic() -> None:
    async with served() as it:
        answer = await it.client.bus.request(
            topics.commands(SERVER),
            json.dumps(command(1, "/asterisk/info")).encode(),
            timeout_seconds=10,
        )
        replies: list[Message] = []
        await it.client.bus.subscribe(topics.responses(SERVER), replies.append)
        it.client.bus.publish(topics.commands(SERVER), json.dumps(command(2, "/x")).encode())
        await until(lambda: replies)

    assert json.loads(answer)["status_code"] == 200
    assert json.loads(replies[0].payload)["unique_id"] == "2"
