from hypothesis import given
from hypothesis import strategies as st

from ari_proxy.bus.outbox import OVERHEAD_BYTES, Outbox, Outgoing


def message(number: int, size: int = 0) -> Outgoing:
    return Outgoing(str(number), bytes(size), "")


def test_unconfirmed_messages_are_sent_again_in_order() -> None:
    outbox = Outbox(10**6)
    for number in range(5):
        outbox.append(message(number))
    for _ in range(3):
        outbox.next()
    outbox.rewind()

    assert [outbox.next().topic for _ in range(5)] == ["0", "1", "2", "3", "4"]


def test_confirmed_messages_are_forgotten() -> None:
    outbox = Outbox(10**6)
    for number in range(3):
        outbox.append(message(number))
    outbox.next()
    mark = outbox.mark()
    outbox.next()
    outbox.confirm(mark)
    outbox.rewind()

    assert [outbox.next().topic for _ in range(2)] == ["1", "2"]


def test_mark_from_before_a_lost_connection_confirms_nothing_else() -> None:
    outbox = Outbox(10**6)
    outbox.append(message(0))
    outbox.next()
    mark = outbox.mark()
    outbox.rewind()
    outbox.append(message(1))
    outbox.next()
    outbox.next()
    outbox.confirm(mark)

    assert len(outbox) == 1


@given(st.lists(st.one_of(st.integers(0, 300), st.sampled_from(["next", "confirm", "rewind"]))))
def test_size_stays_exact_and_below_the_bound(steps: list[int | str]) -> None:
    outbox = Outbox(2000)
    appended = 0
    for step in steps:
        if isinstance(step, int):
            outbox.append(message(appended, step))
            appended += 1
        elif step == "next" and outbox.is_waiting:
            outbox.next()
        elif step == "confirm":
            outbox.confirm(outbox.mark())
        elif step == "rewind":
            outbox.rewind()
        assert outbox.size_bytes <= 2000 or not outbox.is_waiting
    outbox.rewind()
    left = [outbox.next() for _ in range(len(outbox))]

    assert outbox.size_bytes == sum(len(item.payload) + OVERHEAD_BYTES for item in left)
    assert [int(item.topic) for item in left] == sorted(int(item.topic) for item in left)
