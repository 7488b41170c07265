"""Gaps behind which a state is to be read."""

import pytest

from ari_proxy.client.missed_events import MissedEvents
from tests.support.client_events import channel, event

GAP = event("ProxyGap", reason="websocket_lost")


def test_state_is_to_be_read_after_a_gap_alone() -> None:
    missed = MissedEvents()
    missed.take(event("StasisEnd", channel=channel("c")))
    assert not missed.are_unread

    missed.take(GAP)
    assert missed.are_unread
    with missed.reading():
        pass

    assert not missed.are_unread


def test_gap_during_a_reading_counts() -> None:
    missed = MissedEvents()
    missed.take(GAP)
    with missed.reading():
        missed.take(GAP)

    assert missed.are_unread


def test_reading_that_fails_has_read_nothing() -> None:
    missed = MissedEvents()
    missed.take(GAP)
    with pytest.raises(KeyError), missed.reading():
        raise KeyError

    assert missed.are_unread
