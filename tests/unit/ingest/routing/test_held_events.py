"""Events that are held for an application."""

import pytest

from ari_proxy.ingest.routing.held_events import HeldEvents


def held(*events: bytes) -> HeldEvents:
    made = HeldEvents()
    for event in events:
        made.append(event)
    return made


def test_events_keep_their_order_behind_the_one_that_comes_before_all() -> None:
    made = held(b"1", b"2")
    made.prepend(b"0")

    assert list(made) == [b"0", b"1", b"2"]
    assert (made.first, len(made)) == (b"0", 3)


def test_first_event_stays_when_the_oldest_are_dropped() -> None:
    """It may be on its way as the probe."""
    made = held(b"11", b"22", b"33", b"44")

    assert made.trim(8) == []
    assert made.trim(5) == [b"22", b"33"]
    assert list(made) == [b"11", b"44"]
    assert made.trim(0) == [b"44"]
    assert made.trim(0) == []
    assert list(made) == [b"11"]


def test_removed_events_leave_room_for_others() -> None:
    made = held(b"11", b"22")
    assert made.remove_first() == b"11"
    made.append(b"33")
    assert made.trim(4) == []
    assert made.clear() == (b"22", b"33")
    made.append(b"4444")

    assert made.trim(4) == []
    assert list(made) == [b"4444"]


def test_nothing_is_first_where_nothing_is_held() -> None:
    made = held()

    assert not made
    assert made.clear() == ()
    with pytest.raises(IndexError):
        _ = made.first
    with pytest.raises(IndexError):
        made.remove_first()
