"""The state of a recording."""

import pytest

from ari_proxy.client.media.recording_progress import RecordingProgress
from tests.support.client_events import event, recording


@pytest.fixture
def progress() -> RecordingProgress:
    return RecordingProgress("r")


def test_events_tell_its_state_and_its_length(progress: RecordingProgress) -> None:
    progress.take(recording("RecordingStarted", "r", "recording"))
    assert (progress.state, progress.is_over, progress.seconds) == ("recording", False, None)

    progress.take(recording("RecordingFinished", "r", "done", duration=7))

    assert (progress.is_over, progress.is_stored, progress.seconds) == (True, True, 7)


def test_failure_has_its_cause(progress: RecordingProgress) -> None:
    progress.take(recording("RecordingFailed", "r", "failed", cause="disk is full"))
    assert (progress.is_over, progress.is_stored) == (True, False)
    assert progress.cause == "disk is full"


def test_other_recordings_do_not_concern_it(progress: RecordingProgress) -> None:
    progress.take(recording("RecordingFinished", "other", "done"))
    assert not progress.is_over


def test_state_is_to_be_read_after_a_gap(progress: RecordingProgress) -> None:
    progress.take(event("ProxyGap", reason="x"))
    assert progress.missed.are_unread

    progress.end(is_stored=True)

    assert (progress.is_stored, progress.seconds) == (True, None)


def test_recording_that_is_over_stays_so(progress: RecordingProgress) -> None:
    progress.end(is_stored=False)

    progress.take(recording("RecordingFinished", "r", "done"))
    progress.end(is_stored=True)

    assert (progress.is_over, progress.is_stored) == (True, False)
