"""The state of a playback, and the digit that interrupts one."""

import json

import pytest

from ari_proxy.client import events
from ari_proxy.client.ari.model import Event
from ari_proxy.client.media.playback_progress import Interruption, PlaybackProgress
from tests.support.client_events import channel, event, playback


def digit(pressed: str, of: str = "c") -> Event:
    return event("ChannelDtmfReceived", digit=pressed, duration_ms=100, channel=channel(of))


@pytest.fixture
def progress() -> PlaybackProgress:
    return PlaybackProgress("p")


def test_playback_begins_in_the_queue(progress: PlaybackProgress) -> None:
    assert not progress.has_begun
    assert not progress.is_over


def test_events_tell_its_state_and_what_is_played(progress: PlaybackProgress) -> None:
    assert progress.take(playback("PlaybackStarted", "p", "playing", "sound:a"))
    assert (progress.has_begun, progress.media_uri) == (True, "sound:a")

    assert progress.take(playback("PlaybackContinuing", "p", "continuing", "sound:b"))
    assert (progress.state, progress.media_uri) == ("continuing", "sound:b")

    assert progress.take(playback("PlaybackFinished", "p", "done", "sound:b"))
    assert (progress.is_over, progress.has_failed) == (True, False)


def test_failed_playback_is_over(progress: PlaybackProgress) -> None:
    progress.take(playback("PlaybackFinished", "p", "failed", "sound:a"))
    assert (progress.is_over, progress.has_failed) == (True, True)


def test_other_events_do_not_concern_it(progress: PlaybackProgress) -> None:
    assert not progress.take(playback("PlaybackFinished", "other", "done", "sound:a"))
    assert not progress.take(digit("1"))
    assert not progress.has_begun


def test_state_is_to_be_read_after_a_gap(progress: PlaybackProgress) -> None:
    assert progress.take(event("ProxyGap", reason="x"))
    assert progress.missed.are_unread

    progress.read("playing")

    assert progress.state == "playing"


def test_playback_that_asterisk_does_not_know_any_more_is_over(progress: PlaybackProgress) -> None:
    progress.read(None)
    assert (progress.is_over, progress.has_failed) == (True, False)


def test_playback_that_is_over_stays_so(progress: PlaybackProgress) -> None:
    progress.take(playback("PlaybackFinished", "p", "failed", "sound:a"))

    progress.take(playback("PlaybackStarted", "p", "playing", "sound:a"))
    progress.read("playing")

    assert not progress.take(event("ProxyGap", reason="x"))
    assert progress.has_failed


def test_first_of_its_digits_interrupts() -> None:
    interruption = Interruption("c", "12")

    for pressed in (digit("3"), digit("2", of="other"), event("ProxyGap", reason="x")):
        interruption.take(pressed)
        assert interruption.digit == ""
    interruption.take(digit("2"))
    interruption.take(digit("1"))

    assert interruption.digit == "2"


@pytest.mark.parametrize(("digits", "expected"), [("any", "#"), ("", "")])
def test_any_digit_interrupts_or_none(digits: str, expected: str) -> None:
    interruption = Interruption("c", digits)
    interruption.take(digit("#"))
    assert interruption.digit == expected


def test_support_makes_typed_events() -> None:
    assert isinstance(digit("1"), events.ChannelDtmfReceived)
    assert isinstance(event("ProxyGap", reason="x"), events.ProxyGap)
    assert json.loads(digit("1").raw)["type"] == "ChannelDtmfReceived"
