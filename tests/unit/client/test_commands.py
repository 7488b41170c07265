"""Commands of a call and their responses, without a bus."""

import asyncio
import json
from typing import Any

import pytest
from structlog.testing import capture_logs

from ari_proxy.bus.base import Handler, Message, SubscriptionHandle
from ari_proxy.client.commands import CallCommands
from ari_proxy.client.errors import NotSent
from ari_proxy.protocol import messages
from tests.support.running import until

DIALOG = "server-1.2g88jhgcnt8dm6c8"
TOPIC = f"responses_{DIALOG}"


class Published:
    """Records what is published."""

    def __init__(self) -> None:
        self.messages: list[tuple[str, Any, bool]] = []

    def publish(self, topic: str, payload: bytes, *, reply: str = "", once: bool = False) -> None:
        assert not reply
        self.messages.append((topic, json.loads(payload), once))

    async def subscribe(
        self, topic: str, handler: Handler, *, group: str = ""
    ) -> SubscriptionHandle:
        raise NotImplementedError(topic, handler, group)


def response(unique_id: str, body: str = "") -> Message:
    fields = {"unique_id": unique_id, "status_code": 200, "response_body": body}
    return Message(TOPIC, json.dumps(fields).encode())


async def test_response_reaches_its_own_command_in_whatever_order() -> None:
    bus = Published()
    commands = CallCommands(bus, DIALOG)
    first, second = commands.new("GET", "/a"), commands.new("POST", "/b", "{}")
    async with asyncio.TaskGroup() as tasks:
        sent = [
            tasks.create_task(commands.send(command, timeout_seconds=10))
            for command in (first, second)
        ]
        await asyncio.sleep(0)
        commands.take_response(response(second.unique_id, "second"))
        commands.take_response(response("unknown", "nobody's"))
        commands.take_response(response(first.unique_id, "first"))
        commands.take_response(response(first.unique_id, "repeated"))

    assert [task.result().response_body for task in sent] == ["first", "second"]
    assert [(topic, once) for topic, _, once in bus.messages] == [(f"commands_{DIALOG}", True)] * 2
    assert bus.messages[1][1]["url"] == "/b"


async def test_commands_sent_together_are_one_message() -> None:
    bus = Published()
    commands = CallCommands(bus, DIALOG)
    both = [commands.new("DELETE", "/channels/a"), commands.new("DELETE", "/channels/b")]
    sending = asyncio.create_task(commands.send_all(both, timeout_seconds=10))
    await asyncio.sleep(0)
    for command in both:
        commands.take_response(response(command.unique_id, command.url))

    assert [answer.response_body for answer in await sending] == ["/channels/a", "/channels/b"]
    ((_, payload, _),) = bus.messages
    assert len(payload) == 2


async def test_commands_whose_executor_has_died_are_sent_again() -> None:
    bus = Published()
    commands = CallCommands(bus, DIALOG)
    first, second = commands.new("DELETE", "/channels/a"), commands.new("DELETE", "/channels/b")
    sending = asyncio.create_task(
        commands.send_all([first, second], timeout_seconds=10, again_seconds=0.01)
    )
    await asyncio.sleep(0)
    commands.take_response(response(first.unique_id, "first"))
    await until(lambda: len(bus.messages) > 1)
    commands.take_response(response(second.unique_id, "second"))

    assert [answer.response_body for answer in await sending] == ["first", "second"]
    assert [command["url"] for command in bus.messages[1][1]] == ["/channels/b"]


@pytest.mark.parametrize(
    ("method", "url"),
    [
        ("POST", "/channels/c/continue"),
        ("POST", "/channels/c/play?media=tone:ring&playbackId=p"),
        ("POST", "/channels?endpoint=PJSIP/1"),
        ("POST", "/channels/c/variable?variable=CURL(http://a.example)&value=1"),
    ],
)
async def test_command_that_may_do_harm_twice_is_not_sent_again(method: str, url: str) -> None:
    bus = Published()
    commands = CallCommands(bus, DIALOG)
    harmful, harmless = commands.new(method, url), commands.new("DELETE", "/channels/b")
    sending = asyncio.create_task(
        commands.send_all([harmful, harmless], timeout_seconds=10, again_seconds=0.01)
    )
    await until(lambda: len(bus.messages) > 1)
    for command in (harmful, harmless):
        commands.take_response(response(command.unique_id))

    await sending
    assert [command["url"] for command in bus.messages[1][1]] == ["/channels/b"]


async def test_timeout_names_the_command_and_leaves_nothing_to_match() -> None:
    commands = CallCommands(Published(), DIALOG)
    command = commands.new("GET", "/a")
    with pytest.raises(TimeoutError, match=r"^no response to GET /a within 0 s$"):
        await commands.send(command, timeout_seconds=0)

    commands.take_response(response(command.unique_id))


async def test_malformed_response_is_logged_and_costs_no_other() -> None:
    commands = CallCommands(Published(), DIALOG)
    command = commands.new("GET", "/a")
    sending = asyncio.create_task(commands.send(command, timeout_seconds=10))
    await asyncio.sleep(0)
    with capture_logs() as logs:
        commands.take_response(Message(TOPIC, b"{"))
    commands.take_response(response(command.unique_id))

    assert (await sending).status_code == 200
    assert [(log["event"], log["dialog_id"]) for log in logs] == [("response.lost", DIALOG)]


async def test_lost_message_ends_all_its_commands_and_no_other() -> None:
    commands = CallCommands(Published(), DIALOG)
    both = [commands.new("DELETE", "/channels/a"), commands.new("DELETE", "/channels/b")]
    other = commands.new("GET", "/c")
    sending = asyncio.create_task(commands.send_all(both, timeout_seconds=10))
    another = asyncio.create_task(commands.send(other, timeout_seconds=10))
    await asyncio.sleep(0)

    commands.lose(messages.encode_all(both), "full")
    commands.lose(messages.encode(other), "connection_lost")  # It may have been executed.
    commands.take_response(response(other.unique_id))

    with pytest.raises(NotSent, match=r"^DELETE /channels/a: the buffer of the bus"):
        await sending
    assert (await another).status_code == 200
    commands.lose(messages.encode_all(both), "full")  # Nobody waits any more.


async def test_command_that_is_withdrawn_at_its_timeout_was_not_sent() -> None:
    def withdraw(topic: str) -> None:
        assert topic == f"commands_{DIALOG}"
        commands.lose(messages.encode(command), "discarded")

    commands = CallCommands(Published(), DIALOG, withdraw=withdraw)
    command = commands.new("GET", "/a")

    with pytest.raises(NotSent, match=r"^GET /a: the bus has taken nothing since$"):
        await commands.send(command, timeout_seconds=0)
