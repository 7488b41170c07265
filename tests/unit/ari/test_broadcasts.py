"""The arguments of StasisBroadcast, as Asterisk 22.10.1 was seen to read them."""

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ari_proxy.ari import broadcasts
from tests.support.golden import recorded


@pytest.mark.parametrize(
    ("data", "seconds"),
    [
        ("", 0.5),
        (",,a:b", 0.5),
        ("2000,^ivr-,sales:high,yes", 2),
        (" 700 ", 0.7),
        ("0", 0),
        ("60000", 60),
        ("60001", 0.5),
        ("-5", 0.5),
        ("abc", 0.5),
        ("1.5", 0.001),
        (" 70", 0.07),
        ("\x1f70", 0.5),
        ("\u0667\u0660", 0.5),  # Digits, but not Asterisk's.
        ("7" * 5000, 0.5),
    ],
)
def test_timeout(data: str, seconds: float) -> None:
    assert broadcasts.timeout_seconds(data) == seconds


@given(st.text())
def test_any_text_has_a_timeout_that_asterisk_may_have(data: str) -> None:
    assert 0 <= broadcasts.timeout_seconds(data) <= 60
    assert all(isinstance(argument, str) for argument in broadcasts.arguments(data))


def test_arguments() -> None:
    assert broadcasts.arguments("2000,^ivr-,sales:high,yes") == ("sales", "high")
    assert broadcasts.arguments("2000,,x") == ("x",)
    assert broadcasts.arguments("2000") == broadcasts.arguments("2000,,") == ()


def test_event_tells_how_long_the_offer_stands() -> None:
    frames = [line["frame"] for line in recorded("22", "u_broadcast") if line["dir"] == "event"]
    offers = [frame for frame in frames if json.loads(frame)["type"] == "CallBroadcast"]

    assert {broadcasts.seconds_of(frame) for frame in offers} == {2.0, 0.2}
    assert broadcasts.seconds_of('{"channel":{"dialplan":null}}') == 0.5
    assert broadcasts.seconds_of("no JSON") == 0.5
