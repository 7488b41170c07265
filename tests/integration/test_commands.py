"""What becomes of a command: checked, registered, named, sent, answered; on real buses."""

import asyncio
import json
from collections.abc import AsyncIterator
from typing import Any
from urllib.parse import parse_qs, urlsplit

import pytest

from ari_proxy.client.application import call
from ari_proxy.command.executor import MAX_ANSWER_BYTES
from ari_proxy.command.refusals import MAX_UNIQUE_ID
from ari_proxy.protocol.ids import DialogId, ServerId, token_of_dialog, token_of_object
from ari_proxy.protocol.messages import MAX_COMMANDS, Command
from tests.support.running import bus_client, running_proxy, until, until_running
from tests.support.scripted_asterisk import channel_event, scripted_asterisk
from tests.support.servers import BusServer, NatsServer
from tests.support.setting import Setting, serving, settings_of


@pytest.fixture
async def narrow(bus_server: BusServer) -> AsyncIterator[Setting]:
    """A proxy with a policy and room for two commands."""
    command = {"max_pending": 2, "deny": ["DELETE /channels/{id}", "* /asterisk/**"]}
    async with serving(bus_server, command=command) as setting:
        yield setting


def error_of(response: dict[str, Any]) -> Any:
    return json.loads(response["response_body"])["error"]


@pytest.mark.parametrize("url", ["/channels/c", "/channels/%63", "/channels/c?reason=busy"])
async def test_what_the_policy_forbids_is_not_sent(narrow: Setting, url: str) -> None:
    dialog = await narrow.begin()

    response = await narrow.client.command(dialog, "DELETE", url)

    assert (response["status_code"], error_of(response)) == (403, "ari_proxy.policy")
    assert narrow.asterisk.requests == []


async def test_one_command_too_many_is_refused_at_once(narrow: Setting) -> None:
    dialog = await narrow.begin()
    narrow.asterisk.hold = asyncio.Event()
    commands = [
        {"unique_id": f"{number}", "method": "GET", "url": "/endpoints", "body": ""}
        for number in range(3)
    ]
    too_many = [commands[0]] * (MAX_COMMANDS + 1)
    for message in (*commands, commands[:2], too_many):
        narrow.bus.publish(f"commands_{dialog}", json.dumps(message).encode())
    await narrow.client.until(lambda: len(narrow.client.responses[dialog]) == 4)
    refused = list(narrow.client.responses[dialog])
    narrow.asterisk.hold.set()
    await narrow.client.until(lambda: len(narrow.client.responses[dialog]) == 6)

    assert {(r["status_code"], error_of(r)) for r in refused} == {(503, "ari_proxy.overload")}
    responses = narrow.client.responses[dialog]
    answered = [(response["unique_id"], response["status_code"]) for response in responses]
    assert answered == [*((name, 503) for name in ("2", "0", "1", "")), ("0", 204), ("1", 204)]


@pytest.mark.parametrize(
    ("missing", "expected"), [(100, (200, None)), (0, (502, "too_large"))], ids=["fits", "not"]
)
async def test_answer_that_no_message_can_carry_is_told(
    proxy: Setting, missing: int, expected: tuple[int, str | None]
) -> None:
    dialog = await proxy.begin()
    size = min(proxy.bus.max_message_bytes, MAX_ANSWER_BYTES + 1) - missing
    proxy.asterisk.answer("GET", "/endpoints", 200, "x" * size)
    command = {"unique_id": "u", "method": "GET", "url": "/endpoints", "body": ""}

    response = await proxy.client.send(dialog, json.dumps(command).encode())

    reason = error_of(response).removeprefix("ari_proxy.") if expected[1] else None
    assert (response["status_code"], reason) == expected
    assert response["unique_id"] == "u"


async def test_array_whose_answers_no_message_can_carry_is_told(proxy: Setting) -> None:
    dialog = await proxy.begin()
    size = min(proxy.bus.max_message_bytes, MAX_ANSWER_BYTES) // 2
    count = proxy.bus.max_message_bytes // size + 1
    for _ in range(count):
        proxy.asterisk.answer("GET", "/endpoints", 200, "x" * size)
    commands = [
        {"unique_id": f"{number}", "method": "GET", "url": "/endpoints", "body": ""}
        for number in range(count)
    ]

    reply = await proxy.bus.request(
        f"commands_{dialog}", json.dumps(commands).encode(), timeout_seconds=5
    )
    await proxy.client.until(lambda: len(proxy.client.responses[dialog]) == count)

    answers = [(answer["unique_id"], answer["status_code"]) for answer in json.loads(reply)]
    assert answers == [(f"{number}", 502) for number in range(count)]
    assert [response["status_code"] for response in proxy.client.responses[dialog]] == [200] * count


async def test_array_of_whose_answers_nothing_can_be_told_is_told(
    nats_server: NatsServer,
) -> None:
    """Not even what says of each command that its answer is too large fits into a message."""
    async with serving(nats_server) as proxy:
        dialog = await proxy.begin()
        unique_id = "<" * MAX_UNIQUE_ID  # Six bytes each, as Go writes it.
        count = proxy.bus.max_message_bytes // (6 * MAX_UNIQUE_ID) + 1
        payload = json.dumps([{"unique_id": unique_id}] * count).encode()

        reply = await proxy.bus.request(f"commands_{dialog}", payload, timeout_seconds=20)
        await proxy.client.until(lambda: len(proxy.client.responses[dialog]) == count)

    (answer,) = json.loads(reply)
    assert (answer["status_code"], error_of(answer)) == (502, "ari_proxy.too_large")
    assert f"{count} commands" in json.loads(answer["response_body"])["message"]
    assert {found["status_code"] for found in proxy.client.responses[dialog]} == {405}


@pytest.mark.parametrize("count", [MAX_COMMANDS + 1, 300_000])
async def test_array_of_too_many_commands_is_refused_whole(proxy: Setting, count: int) -> None:
    dialog = await proxy.begin()
    payload = b"[" + b",".join([b"{}"] * count) + b"]"

    reply = await proxy.bus.request(f"commands_{dialog}", payload, timeout_seconds=20)
    await proxy.client.until(lambda: proxy.client.responses[dialog])
    following = await proxy.client.command(dialog, "GET", "/endpoints")

    assert json.loads(reply) == [proxy.client.responses[dialog][0]]
    (answer,) = json.loads(reply)
    assert (answer["status_code"], error_of(answer)) == (413, "ari_proxy.too_large")
    assert json.loads(answer["response_body"])["sent"] is False
    assert following["status_code"] == 204
    assert len(proxy.client.responses[dialog]) == 2


@pytest.mark.parametrize("told", [True, False], ids=["content-length", "chunked"])
async def test_answer_of_any_size_is_not_read_to_its_end(proxy: Setting, *, told: bool) -> None:
    dialog = await proxy.begin()
    proxy.asterisk.large["/recordings/stored/long/file"] = (64 << 20, told)

    response = await proxy.client.command(dialog, "GET", "/recordings/stored/long/file")

    assert (response["status_code"], error_of(response)) == (502, "ari_proxy.too_large")
    assert json.loads(response["response_body"])["sent"] is True
    assert proxy.asterisk.written < 32 << 20


async def test_command_with_a_huge_id_is_refused(proxy: Setting) -> None:
    dialog = await proxy.begin()
    command = {"unique_id": "u" * 500_000, "method": "POST", "url": "/channels/c/ring"}

    response = await proxy.client.send(dialog, json.dumps(command).encode())

    assert (response["status_code"], error_of(response)) == (400, "ari_proxy.unique_id")
    assert response["unique_id"] == "u" * MAX_UNIQUE_ID
    assert proxy.asterisk.requests == []


async def test_dialogs_do_not_wait_for_each_other_but_commands_of_one_do(proxy: Setting) -> None:
    slow = await proxy.begin("slow")
    await proxy.asterisk.push(channel_event("StasisStart", "quick"))
    await proxy.client.until(lambda: len(proxy.client.events) == 2)
    (quick,) = set(proxy.client.events) - {slow}
    proxy.asterisk.hold = asyncio.Event()
    for path in ("/channels/slow/ring", "/channels/slow/answer"):
        command = {"unique_id": path, "method": "POST", "url": path, "body": ""}
        proxy.bus.publish(f"commands_{slow}", json.dumps(command).encode())
    await until(lambda: len(proxy.asterisk.requests) == 1)
    held, proxy.asterisk.hold = proxy.asterisk.hold, None
    await proxy.client.command(quick, "POST", "/channels/quick/answer")

    assert proxy.client.responses[slow] == []
    targets = [request.target for request in proxy.asterisk.requests]
    assert targets == ["/ari/channels/slow/ring", "/ari/channels/quick/answer"]

    held.set()
    await proxy.client.until(lambda: len(proxy.client.responses[slow]) == 2)
    answered = [response["unique_id"] for response in proxy.client.responses[slow]]
    assert answered == ["/channels/slow/ring", "/channels/slow/answer"]


@pytest.mark.parametrize("with_ids", [True, False], ids=["ids", "no ids"])
async def test_hang_up_overtakes_what_waits_for_a_slow_command(
    proxy: Setting, *, with_ids: bool
) -> None:
    dialog = await proxy.begin("c")
    held = proxy.asterisk.hold = asyncio.Event()
    steps = [("POST", "variable"), ("POST", "ring"), ("DELETE", ""), ("POST", "answer")]
    paths = [f"/channels/c/{end}".rstrip("/") for _, end in steps]
    for number, (method, _) in enumerate(steps):
        proxy.asterisk.answer(method, paths[number], 200 + number)
        unique_id = f"{number}" if with_ids else ""
        command = {"unique_id": unique_id, "method": method, "url": paths[number], "body": ""}
        proxy.bus.publish(f"commands_{dialog}", json.dumps(command).encode())
    await until(lambda: proxy.asterisk.requests)
    proxy.asterisk.hold = None
    await until(lambda: len(proxy.asterisk.requests) == 2)
    if with_ids:
        await proxy.client.until(lambda: proxy.client.responses[dialog])
    before = len(proxy.client.responses[dialog])
    held.set()
    await proxy.client.until(lambda: len(proxy.client.responses[dialog]) == 4)

    sent = [request.target.removeprefix("/ari") for request in proxy.asterisk.requests]
    assert sent == [paths[0], paths[2], paths[1], paths[3]]
    assert before == with_ids
    statuses = [response["status_code"] for response in proxy.client.responses[dialog]]
    assert statuses == ([202, 200, 201, 203] if with_ids else [200, 201, 202, 203])


@pytest.mark.parametrize("is_array", [False, True], ids=["command", "array"])
@pytest.mark.parametrize("is_slow", [True, False], ids=["originate is slow", "originate waits"])
async def test_hang_up_does_not_overtake_the_origination_of_a_channel(
    proxy: Setting, *, is_array: bool, is_slow: bool
) -> None:
    """That channel might be the one; it would ring for nobody."""
    dialog = await proxy.begin("c")
    await proxy.asterisk.push(channel_event("StasisStart", "d"))
    await proxy.client.until(lambda: len(proxy.client.events) == 2)
    (other,) = set(proxy.client.events) - {dialog}
    held = proxy.asterisk.hold = asyncio.Event()

    def publish(dialog: str, *requests: tuple[str, str], in_array: bool = False) -> None:
        commands = [
            {"unique_id": url, "method": method, "url": url, "body": ""} for method, url in requests
        ]
        payload = json.dumps(commands if in_array else commands[0]).encode()
        proxy.bus.publish(f"commands_{dialog}", payload)

    if not is_slow:
        publish(dialog, ("POST", "/channels/c/ring"))
    originate = ("POST", "/channels/x?endpoint=PJSIP/x&app=demo")
    publish(dialog, originate, in_array=is_array)
    publish(dialog, ("DELETE", "/channels/x"))
    publish(other, ("POST", "/channels/d/ring"))
    publish(other, ("DELETE", "/channels/d"))
    await until(lambda: any(request.method == "DELETE" for request in proxy.asterisk.requests))
    sent = [request.target for request in proxy.asterisk.requests]
    proxy.asterisk.hold = None
    held.set()
    await proxy.client.until(lambda: len(proxy.client.responses[dialog]) == 3 - is_slow)

    assert "/ari/channels/x" not in sent
    answered = [response["unique_id"] for response in proxy.client.responses[dialog]]
    assert answered[-2:] == [originate[1], "/channels/x"]


async def test_request_is_answered_on_its_reply_subject_as_well(proxy: Setting) -> None:
    dialog = await proxy.begin()
    command = {"unique_id": "u", "method": "GET", "url": "/endpoints", "body": ""}

    reply = await proxy.bus.request(
        f"commands_{dialog}", json.dumps(command).encode(), timeout_seconds=5
    )
    await proxy.client.until(lambda: proxy.client.responses[dialog])

    assert json.loads(reply) == proxy.client.responses[dialog][0]
    assert json.loads(reply)["unique_id"] == "u"


async def test_created_objects_route_by_their_names_before_any_answer(proxy: Setting) -> None:
    dialog = await proxy.begin()
    proxy.asterisk.hold = asyncio.Event()
    url = "/bridges?type=mixing"
    command = {"unique_id": "u", "method": "POST", "url": url, "body": ""}
    proxy.bus.publish(f"commands_{dialog}", json.dumps(command).encode())
    await until(lambda: proxy.asterisk.requests)
    query = parse_qs(urlsplit(proxy.asterisk.requests[0].target).query)
    (bridge,) = query["bridgeId"]
    await proxy.asterisk.push(f'{{"type":"BridgeCreated","bridge":{{"id":"{bridge}"}}}}')
    await proxy.client.until(lambda: "BridgeCreated" in proxy.client.types(dialog))
    proxy.asterisk.hold.set()

    assert token_of_object(bridge) == token_of_dialog(DialogId(dialog))


async def test_object_named_by_the_client_is_registered_before_the_request(proxy: Setting) -> None:
    dialog = await proxy.begin()
    proxy.asterisk.hold = asyncio.Event()
    body = '{"bridgeId": "mine", "type": "mixing"}'
    command = {"unique_id": "u", "method": "POST", "url": "/bridges", "body": body}
    proxy.bus.publish(f"commands_{dialog}", json.dumps(command).encode())
    await until(lambda: proxy.asterisk.requests)
    await proxy.asterisk.push('{"type":"BridgeCreated","bridge":{"id":"mine"}}')
    await proxy.client.until(lambda: "BridgeCreated" in proxy.client.types(dialog))
    proxy.asterisk.hold.set()

    assert proxy.asterisk.requests[0].target == "/ari/bridges"
    assert proxy.asterisk.requests[0].body == body


async def test_object_that_asterisk_refused_is_forgotten_again(proxy: Setting) -> None:
    dialog = await proxy.begin()
    await proxy.client.listen("server-1")
    proxy.asterisk.answer("POST", "/bridges", 409, '{"message":"exists"}')

    response = await proxy.client.command(dialog, "POST", "/bridges?bridgeId=theirs")
    await proxy.asterisk.push('{"type":"BridgeCreated","bridge":{"id":"theirs"}}')
    await proxy.client.until(lambda: proxy.client.events["server-1"])

    assert response["status_code"] == 409
    assert proxy.client.types(dialog) == ["StasisStart"]


async def test_without_ingest_an_own_name_is_refused_and_nothing_is_sent(
    bus_server: BusServer,
) -> None:
    async with scripted_asterisk() as asterisk:
        settings = settings_of(asterisk, bus_server)
        async with bus_client(settings) as bus, running_proxy(settings, ["command"]):
            await until_running(settings, ingest=False)
            command = Command("u", "/bridges?bridgeId=mine", "POST")
            response = await call(bus, ServerId("server-1"), command)

    error = json.loads(response.response_body)["error"]
    assert (response.status_code, error) == (503, "ari_proxy.registration")
    assert asterisk.requests == []


@pytest.mark.parametrize("dialog_id", ["other-server.0123456789abcdef", "server-1.*", "nonsense"])
async def test_dialog_of_another_server_is_refused(proxy: Setting, dialog_id: str) -> None:
    command = Command("u", "/channels?endpoint=PJSIP/x&app=demo", "POST", dialog_id=dialog_id)

    response = await call(proxy.bus, ServerId("server-1"), command)

    assert (response.status_code, response.unique_id) == (400, "u")
    assert json.loads(response.response_body)["error"] == "ari_proxy.dialog_id"
    assert proxy.asterisk.requests == []


async def test_command_of_the_server_needs_no_dialog(proxy: Setting) -> None:
    proxy.asterisk.answer("GET", "/endpoints", 200, "[]")

    response = await call(proxy.bus, ServerId("server-1"), Command("u", "/endpoints", "GET"))

    assert (response.status_code, response.response_body) == (200, "[]")
    assert response.dialog_id == ""
