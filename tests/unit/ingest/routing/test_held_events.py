"""Events that are held for an application, and those that the bus gives back."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

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


def test_events_given_back_come_before_those_that_came_meanwhile() -> None:
    made = held(b"6")
    made.put_back(b"4", 4)
    made.put_back(b"5", 5)
    made.append(b"7")

    assert made.settle(5) == []
    assert made.clear() == (b"4", b"5", b"6", b"7")


@given(st.lists(st.booleans(), max_size=20), st.integers(0, 3))
def test_no_event_comes_behind_a_later_one_that_was_heard(heard: list[bool], fresh: int) -> None:
    made, last = HeldEvents(), len(heard)
    for number, is_heard in enumerate(heard, start=1):
        if not is_heard:
            made.put_back(b"%d" % number, number)
    for number in range(last + 1, last + 1 + fresh):
        made.append(b"%d" % number)

    late = made.settle(last)
    last_heard = max((number for number, is_heard in enumerate(heard, 1) if is_heard), default=0)
    unheard = [number for number, is_heard in enumerate(heard, 1) if not is_heard]
    assert [int(event) for event in late] == [n for n in unheard if n < last_heard]
    assert [int(event) for event in made] == list(range(last_heard + 1, last + 1 + fresh))


def test_trimmed_and_removed_ones_are_not_missed() -> None:
    made = HeldEvents()
    for number in (1, 2, 3):
        made.put_back(b"%d" % number, number)
    assert made.trim(2) == [b"2"]
    assert made.remove_first() == b"1"
    assert (made.settle(3), made.clear()) == ([], (b"3",))
