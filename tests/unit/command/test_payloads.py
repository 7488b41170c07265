"""What a message's payload says of its commands."""

import json

import pytest

from ari_proxy.command import payloads
from ari_proxy.command.errors import RejectedError
from ari_proxy.command.payloads import creates_channel, is_hang_up
from ari_proxy.protocol.messages import MAX_COMMANDS, Command


@pytest.mark.parametrize(
    ("method", "url", "expected"),
    [
        ("DELETE", "/channels/c", True),
        ("delete", "/chann%65ls/c?reason=busy", True),
        ("DELETE", "/channels/c/moh", False),
        ("DELETE", "/bridges/b", False),
        ("GET", "/channels/c", False),
        ("DELETE", "http://elsewhere/channels/c", False),
    ],
)
def test_hang_up_is_known(method: str, url: str, *, expected: bool) -> None:
    assert is_hang_up(Command("", url, method, "")) is expected


@pytest.mark.parametrize(
    ("method", "url", "expected"),
    [
        ("POST", "/channels?endpoint=PJSIP/a&app=demo", True),
        ("post", "/chann%65ls/mine", True),
        ("POST", "channels/create", True),
        ("POST", "/channels/externalMedia", True),
        ("POST", "/channels/c/snoop", True),
        ("POST", "/channels/c/snoop/mine", True),
        ("POST", "/channels/c/unheard-of", True),
        ("POST", "/channels/c/dial", False),
        ("POST", "/channels/c/play", False),
        ("POST", "/bridges", False),
        ("GET", "/channels", False),
        ("POST", "http://elsewhere/channels", False),
    ],
)
def test_command_that_may_create_a_channel_is_known(
    method: str, url: str, *, expected: bool
) -> None:
    assert creates_channel(Command("", url, method, "")) is expected


HANG_UP = {"unique_id": "1", "method": "DELETE", "url": "/channels/c", "body": ""}
ORIGINATION = {"unique_id": "2", "method": "POST", "url": "/channels?endpoint=x", "body": ""}


@pytest.mark.parametrize(
    ("content", "urgent", "creates"),
    [
        (HANG_UP, True, False),
        (ORIGINATION, False, True),
        ([HANG_UP], False, False),
        ([HANG_UP, ORIGINATION], False, True),
        ({**HANG_UP, "url": "http://elsewhere/channels/c"}, False, False),
        ({**HANG_UP, "unique_id": 5}, False, False),
        ("delete", False, False),
    ],
)
def test_rank_of_a_payload(content: object, *, urgent: bool, creates: bool) -> None:
    payload = json.dumps(content).encode()

    assert payloads.is_urgent(payload) is urgent
    assert payloads.may_create_channel(payload) is creates


def test_commands_of_an_array_come_in_its_order() -> None:
    found = payloads.commands_of(json.dumps([HANG_UP, ORIGINATION]).encode())

    assert [command.unique_id for command in found] == ["1", "2"]


@pytest.mark.parametrize(
    ("payload", "status", "reason"),
    [
        (b"{", 400, "malformed"),
        (json.dumps([HANG_UP] * (MAX_COMMANDS + 1)).encode(), 413, "too_large"),
    ],
    ids=["malformed", "too many"],
)
def test_payload_that_is_not_executed_is_rejected(payload: bytes, status: int, reason: str) -> None:
    with pytest.raises(RejectedError) as raised:
        payloads.commands_of(payload)

    assert (raised.value.status_code, raised.value.reason) == (status, reason)
