"""What is masked in messages that were kept."""

import json
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ari_proxy.protocol import messages
from ari_proxy.protocol.ids import DialogId, ServerId
from ari_proxy.protocol.messages import Command, EventEncoder
from ari_proxy.tap.masking import Masking

SECRET = "s3cr3t-value"
NUMBER = "+4930123456"
SNAPSHOT = {"id": "1780000000.12", "name": f"PJSIP/{NUMBER}-00000003", "caller": {"number": NUMBER}}


def event(**body: Any) -> bytes:
    encoder = EventEncoder(ServerId("s"))
    text = json.dumps(body, separators=(",", ":"))
    return encoder.encode(text, "X", "2026-11-28T14:03:00.123456789Z", DialogId("s.1"), 123456)


def command(url: str, body: str = "") -> bytes:
    return messages.encode(Command("1", url, "POST", body))


@pytest.mark.parametrize(
    "message",
    [
        event(variable="DB_PASSWORD", value=SECRET),
        event(channelvars={"API_TOKEN": SECRET}),
        command(f"/channels?endpoint=X&api_key={SECRET}&app=a"),
        command(f"/channels/1.2/variable?variable=MY_SECRET&value={SECRET}"),
        command("/channels", json.dumps({"variables": {"Authorization": SECRET}})),
        command(f"/channels?password={SECRET}"),
    ],
)
def test_secret_is_masked_and_the_message_is_json(message: bytes) -> None:
    masked = Masking().masked(message)
    assert SECRET.encode() not in masked
    assert b"***" in masked
    json.loads(masked)


@pytest.mark.parametrize(
    "message",
    [
        event(channel=SNAPSHOT),
        command(f"/channels?endpoint=PJSIP%2F{NUMBER.removeprefix('+')}%40trunk"),
        command(f"/channels?endpoint=PJSIP/{NUMBER}@trunk&callerId={NUMBER}"),
        event(target=f"sip:{NUMBER.removeprefix('+')}@host"),
    ],
)
def test_number_is_masked_but_for_its_end_if_wished(message: bytes) -> None:
    masked = Masking(numbers=True).masked(message)
    assert b"4930123456" not in masked
    assert b"***456" in masked
    json.loads(masked)
    assert Masking().masked(message) == message


def test_ids_and_times_stay_what_they_are() -> None:
    masked = json.loads(Masking(numbers=True).masked(event(channel=SNAPSHOT, duration_ms=123456)))
    body = json.loads(masked["ari_body"])
    assert masked["timestamp"] == "2026-11-28T14:03:00.123456789Z"
    assert masked["sequence"] == 123456
    assert body["duration_ms"] == 123456
    assert body["channel"]["id"] == "1780000000.12"
    assert body["channel"]["name"] == "PJSIP/***456-00000003"


@settings(max_examples=50)
@given(
    st.dictionaries(
        st.sampled_from(["token", "value", "variable", "password", "number"]) | st.text(max_size=4),
        st.text(max_size=8) | st.integers() | st.floats(allow_nan=False, allow_infinity=False),
        max_size=4,
    )
)
def test_masked_message_is_json(body: dict[str, Any]) -> None:
    json.loads(json.loads(Masking(numbers=True).masked(event(**body)))["ari_body"])
