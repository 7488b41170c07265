import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ari_proxy.protocol import messages
from ari_proxy.protocol.errors import MalformedMessageError
from ari_proxy.protocol.ids import ServerId
from ari_proxy.protocol.messages import AppStart, Command, CommandResponse, Event, EventEncoder
from ari_proxy.protocol.timestamps import Rfc3339Nano
from tests.support.golden import bus_payloads


def test_app_start_has_the_original_fields_first() -> None:
    encoded = messages.encode(AppStart("demo", "server-1.x", "server-1", "ch-1"))

    assert encoded == (
        b'{"application":"demo","dialog_id":"server-1.x","server_id":"server-1","channel_id":"ch-1"}'
    )


@pytest.mark.parametrize(
    "transcript", ["goari-nats-core", "goari-nats-lib", "goari-nats-voicemail"]
)
def test_events_have_the_bytes_of_the_original(transcript: str) -> None:
    golden = bus_payloads(transcript, "events_", sender="proxy")
    encoder = EventEncoder(ServerId("server-1"))

    assert golden
    for payload in golden:
        event = json.loads(payload)
        ours = encoder.encode(event["ari_body"], event["type"], event["timestamp"], "d", 7)
        assert ours == payload[:-1] + b',"dialog_id":"d","sequence":7}'


@pytest.mark.parametrize(
    "transcript", ["goari-nats-core", "goari-nats-lib", "goari-nats-voicemail"]
)
def test_responses_have_the_bytes_of_the_original(transcript: str) -> None:
    golden = bus_payloads(transcript, "responses_", sender="proxy")

    assert golden
    for payload in golden:
        fields = json.loads(payload)
        assert messages.encode(CommandResponse(**fields)) == payload


@pytest.mark.parametrize(
    "transcript", ["goari-nats-core", "goari-nats-lib", "goari-nats-voicemail"]
)
def test_commands_of_the_original_client_are_read(transcript: str) -> None:
    sent = bus_payloads(transcript, "commands_", sender="client")
    golden = [payload for payload in sent if payload.startswith(b"{")]  # Also DUMMY and "not json".

    assert golden
    for payload in golden:
        fields = json.loads(payload)
        assert messages.decode_commands(payload) == [Command(**fields)]


def test_array_of_commands_is_read_in_order() -> None:
    payload = b' [{"url":"/a","method":"GET"},{"url":"/b","method":"GET"}]'

    assert [command.url for command in messages.decode_commands(payload)] == ["/a", "/b"]


@pytest.mark.parametrize(
    "payload", [b"", b"DUMMY2", b"null", b"[1]", b'{"body":{}}', b"\xff", b"[" * 9999]
)
def test_what_is_no_command_is_refused_with_a_reason(payload: bytes) -> None:
    with pytest.raises(MalformedMessageError, match=r"^not a Command: "):
        messages.decode_commands(payload)


@given(st.text(), st.text(max_size=20))
def test_any_text_survives_the_envelope(frame: str, event_type: str) -> None:
    frame = frame.encode(errors="replace").decode()
    event_type = event_type.encode(errors="replace").decode()

    encoded = EventEncoder(ServerId("s")).encode(frame, event_type, "t", "s.d", 1)

    assert json.loads(encoded) == {
        "server_id": "s",
        "timestamp": "t",
        "type": event_type,
        "ari_body": frame,
        "dialog_id": "s.d",
        "sequence": 1,
    }
    assert not any(character in encoded for character in b"<>&")


def test_event_without_our_fields_is_read() -> None:
    event = Event("s", "t", "StasisStart", "{}")

    assert (event.dialog_id, event.sequence) == ("", 0)


@pytest.mark.parametrize(
    ("nanoseconds", "text"),
    [
        (0, "1970-01-01T00:00:00Z"),
        (1_500_000_000, "1970-01-01T00:00:01.5Z"),
        (1_795_420_000_792_858_705, "2026-11-23T07:46:40.792858705Z"),
        (1_795_420_000_000_000_010, "2026-11-23T07:46:40.00000001Z"),
    ],
)
def test_timestamps_are_those_of_go(nanoseconds: int, text: str) -> None:
    assert Rfc3339Nano().format(nanoseconds) == text
