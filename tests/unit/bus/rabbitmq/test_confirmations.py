from hypothesis import given
from hypothesis import strategies as st

from ari_proxy.bus.rabbitmq.confirmations import Confirmations


def test_gap_is_waited_for() -> None:
    confirmations = Confirmations()

    counts = [confirmations.confirm(tag, multiple=False) for tag in (2, 3, 1, 5, 4)]

    assert counts == [0, 0, 3, 3, 5]


def test_multiple_closes_all_gaps_before_it() -> None:
    confirmations = Confirmations()

    counts = [
        confirmations.confirm(tag, multiple=multiple)
        for tag, multiple in ((3, False), (6, False), (4, True), (5, False))
    ]

    assert counts == [0, 0, 4, 6]
    assert confirmations._ahead == set()


@given(st.permutations(range(1, 30)), st.data())
def test_count_is_that_of_the_confirmed_from_the_first_on(
    order: list[int], data: st.DataObject
) -> None:
    confirmations = Confirmations()
    confirmed: set[int] = set()
    for tag in order:
        multiple = data.draw(st.booleans())
        still_open = set(range(1, tag + 1)) - confirmed
        assert confirmations.open_until(tag) == sorted(still_open)
        confirmed |= set(range(1, tag + 1)) if multiple else {tag}

        found = confirmations.confirm(tag, multiple=multiple)

        missing = [number for number in range(1, 31) if number not in confirmed]
        assert found == missing[0] - 1
