"""Records in a few words."""

import pytest

from ari_proxy.tap.records import TapRecord
from ari_proxy.watch.render.descriptions import describe, is_failure, shortened
from tests.support.tap_records import CALL, copy_of, event


@pytest.mark.parametrize(
    ("copy", "text"),
    [
        (CALL[0], "AppStart demo 1.2"),
        (event("StasisStart", 3), "3 StasisStart"),
        (event("ChannelDtmfReceived", 4, digit="7"), "4 ChannelDtmfReceived 7"),
        (
            event("PlaybackStarted", 5, playback={"media_uri": "tone:x"}),
            "5 PlaybackStarted tone:x",
        ),
        (event("ChannelVarset", 6, variable="A", value="b"), "6 ChannelVarset A=b"),
        (event("DeviceStateChanged", 0), "DeviceStateChanged"),
        (CALL[2], "POST /channels/1.2/answer"),
        (CALL[4], "204"),
        (
            copy_of("response", status_code=404, response_body='{"message":"Channel not found"}'),
            "404 Channel not found",
        ),
        (copy_of("skipped", count=7), "7 messages are not shown: too many per second"),
        (copy_of("skipped", count=7, reason="why"), "7 messages are not shown: why"),
        (CALL[6], "the dialog has ended"),
        (copy_of("command", method="GET", url="/\x1b[2Jx\ny"), "GET /\ufffd[2Jx y"),
    ],
)
def test_copy_in_a_few_words(copy: TapRecord, text: str) -> None:
    assert describe(copy) == text


@pytest.mark.parametrize(
    ("copy", "fails"),
    [
        (CALL[0], False),
        (CALL[4], False),
        (CALL[5], True),
        (copy_of("response", status_code=404), True),
        (copy_of("response", status_code="none"), False),
        (copy_of("request", status_code=404), False),
        (copy_of("skipped", count=1), True),
    ],
)
def test_failures_are_refusals_and_what_nobody_has_seen(copy: TapRecord, *, fails: bool) -> None:
    assert is_failure(copy) == fails


def test_text_is_shortened_to_one_line() -> None:
    assert shortened("a b\n c", 5) == "a b c"
    assert shortened("a b\n cd", 5) == "a b …"
