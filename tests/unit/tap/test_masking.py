"""What is masked in messages that were kept."""

import json
from typing import Any
from urllib.parse import quote

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ari_proxy.protocol import messages
from ari_proxy.protocol.ids import DialogId, ServerId
from ari_proxy.protocol.messages import Command, CommandResponse, EventEncoder
from ari_proxy.tap.masking import Masking
from tests.support.tap_records import copy_of

SECRET = 's3cr3t"\\&ü-value'
NUMBER = "+4930123456"
SNAPSHOT = {"id": "1780000000.12", "name": f"PJSIP/{NUMBER}-00000003", "caller": {"number": NUMBER}}
CALLER_ID = f'"A" <{NUMBER}>'
UUID = "12345678-1234-5678-9abc-123456789012"


def event(**body: Any) -> bytes:
    encoder = EventEncoder(ServerId("s"))
    # With the spaces of `json.dumps`, which others' JSON may have.
    return encoder.encode(
        json.dumps(body), "X", "2026-11-28T14:03:00.123456789Z", DialogId("s.1"), 123456
    )


def command(url: str, body: Any = "") -> bytes:
    text = json.dumps(body) if body else ""
    return messages.encode(Command("1", url, "POST", text))


def response(body: Any) -> bytes:
    return messages.encode(CommandResponse("1", 200, json.dumps(body, indent=2)))


def with_variables(variables: Any) -> bytes:
    return command("/channels", {"endpoint": "X", "variables": variables})


def named(name: str) -> str:
    """Return a request that sets a channel variable."""
    return f"/channels/1.2/variable?variable={name}&value={quote(SECRET)}"


@pytest.mark.parametrize(
    "message",
    [
        event(variable="DB_PASSWORD", value=SECRET),
        event(value=SECRET, variable="DB_PASSWORD"),
        event(variable="PJSIP_HEADER(add,Authorization)", value=SECRET),
        event(channelvars={"API_TOKEN": SECRET}),
        event(args=[f"token={SECRET}"]),
        event(args=[f"a=b,token={SECRET}"]),
        event(args=[f"Authorization: Bearer {SECRET}"]),
        event(variable="HEADER", value=f"Bearer {'abc.def-' * 5}s3cr3t"),
        event(variable="CURLOPT(httpheader)", value=f"X-Api-Key: {SECRET}"),
        event(userevent={"passwd": 1, "credentials": {"password": [SECRET]}}),
        event(value=f'{{"token": "{SECRET}'),
        event(value=f'{{"variable": "API_TOKEN", "value": "{SECRET}'),
        event(value=json.dumps(json.dumps({"token": SECRET}))),
        with_variables({"Authorization": SECRET}),
        with_variables({"API_TOKEN": {"value": SECRET, "report_events": True}}),
        with_variables([{"attribute": "password", "value": SECRET}]),
        command(f"/channels?endpoint=X&api_key={quote(SECRET)}&app=a"),
        command(f"/channels?password={SECRET}"),
        command(f"/channels?password={SECRET}&app=a"),
        command(named("MY_SECRET")),
        command(named("PJSIP_HEADER(add,Authorization)")),
        command(named(quote("PJSIP_HEADER(add,Authorization)", safe=""))),
        command(f"/channels/1/variable?value={quote(SECRET)}&variable=MY_SECRET"),
        command(f"/channels/1/variable?variable=MY%5FSECRET&report_events=true&value={SECRET}"),
        command(f"/channels/1/play?media=sound:https://user:{quote(SECRET)}@h/a"),
        command(f"/channels/1/play?media=sound:https://h/a%3Ftoken%3D{quote(SECRET)}"),
        command(f"/channels/1/play?media={quote(f'sound:https://u:{quote(SECRET)}@h')}"),
        command(f"/channels/1/play?media={quote('sound:https://h/a?token=' + quote(SECRET))}"),
        command("/channels?variables=" + quote(json.dumps({"API_TOKEN": {"value": SECRET}}))),
        command("/channels?variables=" + json.dumps({"variable": "TOKEN", "value": SECRET})),
        command("/x?" + "a=1&" * 1_000 + f"variable=API_TOKEN&value={SECRET}"),
        response({"value": SECRET}),
        response([{"attribute": "password", "value": SECRET}]),
        b'{"\\u0074oken": "s3cr3t"}',
    ],
)
def test_secret_is_masked_and_the_message_is_json(message: bytes) -> None:
    masked = Masking().masked(message)
    assert b"s3cr3t" not in masked
    assert b"-value" not in masked
    assert b"***" in masked


@pytest.mark.parametrize(
    "message",
    [
        event(channel=SNAPSHOT),
        event(variable="CALLERID(num)", value="x"),
        command("/channels/1.2/play?media=sound:https://host/a%3Fb%3D1&lang=en"),
        command("/channels?endpoint=PJSIP/100@trunk&callerId=%22A%22%20%3C1%3E"),
        command("/channels", {"variables": {"A": {"value": "x", "report_events": True}}}),
        response({"message": "Channel not found"}),
        b'{ "big": 123456789012345678901234567890, "media" : "tone:ring;tonezone=us" }',
    ],
)
def test_message_without_a_secret_stays_as_it_is(message: bytes) -> None:
    assert Masking().masked(message) == message


def test_record_is_masked_in_its_message_only() -> None:
    record = copy_of("event", 1.5, "s.token", token="s3cr3t", a="b")
    masked = Masking().record(record)
    assert (masked.kind, masked.at, masked.dialog_id) == ("event", 1.5, "s.token")
    assert json.loads(bytes(masked.message)) == {"token": "***", "a": "b"}


def test_only_the_secret_is_masked() -> None:
    masked = Masking().masked(command(f"/channels?app=a&token={SECRET}&endpoint=PJSIP%2Fa"))
    assert json.loads(masked)["url"] == "/channels?app=a&token=***&endpoint=PJSIP%2Fa"


@pytest.mark.parametrize("message", [b"", b"DUMMY token=s3cr3t", b"\xff", b"[" * 100_000])
def test_what_is_no_json_is_not_shown(message: bytes) -> None:
    assert json.loads(Masking().masked(message)) == "***"


def test_what_is_nested_too_deeply_is_not_shown() -> None:
    message = b'{"a":' * 100 + b'"s3cr3t"' + b"}" * 100
    masked = Masking().masked(message)
    assert b"s3cr3t" not in masked
    assert json.loads(masked)["a"]["a"]

    text = "token=s3cr3t"
    for _ in range(100):
        text = text.replace("%", "%25").replace("=", "%3D")
    assert "s3cr3t" not in json.loads(Masking().masked(json.dumps([text]).encode()))[0]


@pytest.mark.parametrize(
    "message",
    [
        event(channel=SNAPSHOT),
        command(f"/channels?endpoint=PJSIP%2F{NUMBER.removeprefix('+')}%40trunk"),
        command(f"/channels?endpoint=PJSIP/{NUMBER}@trunk&callerId={NUMBER}"),
        command(f"/channels?callerId={quote(CALLER_ID)}"),
        event(target=f"sip:{NUMBER.removeprefix('+')}@host"),
        event(target=f"tel:{NUMBER}"),
        event(args=[NUMBER, f"from={NUMBER}"]),
    ],
)
def test_number_is_masked_but_for_its_end_if_wished(message: bytes) -> None:
    masked = Masking(numbers=True).masked(message)
    assert b"4930123456" not in masked
    assert b"***456" in masked
    json.loads(masked)
    assert Masking().masked(message) == message


@pytest.mark.parametrize(
    "message",
    [
        event(channel={"id": "123456789", "caller": {"number": "100"}}, duration=30000),
        event(channel={"id": UUID}, bridge={"id": "b", "channels": ["123456789", UUID]}),
        event(playback={"target_uri": "channel:123456789", "id": "12345678"}, list=[12345]),
        event(channel={"protocol_id": "1234567890@host"}, text=UUID, at="1780000000.123456"),
        command("/channels/123456789/play?media=sound:a"),
        command("/bridges/1234567/addChannel?channel=123456789,987654321"),
        command("/channels?endpoint=PJSIP/a&channelId=123456789&originator=987654321"),
    ],
)
def test_ids_times_and_numbers_of_json_stay_what_they_are(message: bytes) -> None:
    assert Masking(numbers=True).masked(message) == message


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(-1e9, 1e9) | st.text(max_size=8),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(
            st.sampled_from(["token", "value", "variable", "password"]) | st.text(max_size=4),
            inner,
            max_size=4,
        )
    ),
    max_leaves=6,
)


@settings(max_examples=50)
@given(JSON, st.sampled_from([None, 2]), st.booleans())
def test_masked_message_is_json(body: Any, indent: int | None, numbers: bool) -> None:
    text = json.dumps(body, indent=indent)
    masked = json.loads(Masking(numbers=numbers).masked(json.dumps({"ari_body": text}).encode()))
    if isinstance(body, dict | list):
        json.loads(masked["ari_body"])


@settings(max_examples=50)
@given(JSON, st.lists(st.sampled_from(["dict", "list", "text", "url"]), max_size=4))
def test_secret_is_masked_wherever_it_stands(around: Any, layers: list[str]) -> None:
    value: Any = {"around": around, "token": "s3cr3t"}
    for layer in layers:
        text = json.dumps(value)
        value = {
            "dict": {"a": value},
            "list": [1, value],
            "text": text,
            "url": f"/x?a=1&b={quote(text)}",
        }[layer]
    masked = Masking().masked(json.dumps({"ari_body": value}).encode())
    assert b"s3cr3t" not in masked
