"""Who has ended a call and why, from its events."""

import json

import pytest

from ari_proxy.client import events
from ari_proxy.client.call_end import CallEnd
from tests.support.application import asterisks

#: As Asterisk 22 sends them (tests/data/recordings).
HUNG_UP = asterisks("ChannelHangupRequest", cause=16, tech_cause=487)
REQUESTED = asterisks("ChannelHangupRequest", cause=32, soft=True)
LEFT = asterisks("StasisEnd")
ENDED = {"type": "ProxyDialogEnded", "application": "demo", "reason": "channels_gone"}


def after(*found: dict[str, object]) -> CallEnd:
    end = CallEnd("d", "c")
    for event in found:
        end.follow(events.decode(json.dumps(event)))
    return end


@pytest.mark.parametrize(
    ("found", "expected"),
    [
        ((HUNG_UP, LEFT), ("peer", 16, 487)),
        ((HUNG_UP, REQUESTED, LEFT), ("peer", 16, 487)),
        ((REQUESTED, LEFT), ("command", None, None)),
        ((REQUESTED, HUNG_UP, LEFT), ("command", None, None)),
        ((LEFT,), ("command", None, None)),
        ((LEFT, HUNG_UP, ENDED), ("command", None, None)),
        ((ENDED,), ("proxy", None, None)),
        ((HUNG_UP, ENDED), ("proxy", 16, 487)),
        ((asterisks("ChannelHangupRequest"), LEFT), ("peer", None, None)),
        ((asterisks("ChannelHangupRequest", "x", cause=17), LEFT), ("command", None, None)),
    ],
    ids=str,
)
def test_who_has_ended_a_call(
    found: tuple[dict[str, object], ...], expected: tuple[str, int | None, int | None]
) -> None:
    end = after(*found)

    assert end.is_over
    error = end.error()
    assert (error.who, error.cause, error.tech_cause) == expected


REPLACED = asterisks("StasisStart", "new", args=[], replace_channel=LEFT["channel"])


def test_call_goes_on_as_the_channel_that_takes_the_place_of_its_own() -> None:
    assert not after(HUNG_UP, REPLACED, LEFT).is_over

    end = after(HUNG_UP, REPLACED, LEFT, asterisks("StasisEnd", "new"))

    assert (end.error().who, end.error().cause) == ("command", None)


@pytest.mark.parametrize(
    "event", [HUNG_UP, asterisks("StasisEnd", "x"), asterisks("ChannelDestroyed"), {}]
)
def test_call_goes_on(event: dict[str, object]) -> None:
    assert not after(event).is_over


def test_error_names_the_call_and_the_cause() -> None:
    assert (
        str(after(HUNG_UP, LEFT).error()) == "call d has ended: the other end has hung up, cause 16"
    )
