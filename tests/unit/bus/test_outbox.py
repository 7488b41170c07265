from hypothesis import given
from hypothesis import strategies as st

from ari_proxy.bus.outbox import OVERHEAD_BYTES, Outbox


def test_unconfirmed_messages_are_sent_again_in_order() -> None:
    outbox = Outbox(10**6)
    for number in range(5):
        outbox.append(str(number), b"")
    for _ in range(3):
        outbox.next()
    outbox.rewind()

    assert [outbox.next().topic for _ in range(5)] == ["0", "1", "2", "3", "4"]


def test_confirmed_messages_are_forgotten() -> None:
    outbox = Outbox(10**6)
    for number in range(3):
        outbox.append(str(number), b"")
    outbox.next()
    mark = outbox.sent_count
    outbox.next()
    outbox.confirm(mark)
    outbox.rewind()

    assert [outbox.next().topic for _ in range(2)] == ["1", "2"]


def test_message_that_is_sent_once_is_better_lost_than_sent_twice() -> None:
    outbox = Outbox(10**6)
    for number in range(4):
        outbox.append(str(number), b"", "", number % 2 == 0)
    outbox.next()
    outbox.next()
    outbox.rewind()

    assert [outbox.next().topic for _ in range(3)] == ["1", "2", "3"]
    assert outbox.dropped == 1


def test_parked_messages_wait_for_their_listener_and_keep_their_order() -> None:
    outbox = Outbox(10**6)
    for number in (0, 1, 0, 2, 0):
        outbox.append(str(number), b"")
    for _ in range(5):
        if outbox.next().topic == "0":
            outbox.hold_last()

    assert (outbox.held_topics, len(outbox)) == (("0",), 5)
    outbox.append("0", b"")
    outbox.rewind()
    assert [outbox.next().topic for _ in range(6)] == ["1", "2", "0", "0", "0", "0"]


def test_unparked_messages_count_as_sent() -> None:
    outbox = Outbox(10**6)
    for _ in range(2):
        outbox.append("0", b"")
        outbox.next()
        outbox.hold_last()
    mark = outbox.sent_count
    outbox.release_held("0")
    outbox.confirm(mark)
    assert len(outbox) == 2

    outbox.confirm(outbox.sent_count)
    assert (len(outbox), outbox.size_bytes) == (0, 0)


def test_parked_message_that_somebody_has_is_confirmed_alone() -> None:
    outbox = Outbox(10**6)
    for _ in range(2):
        outbox.append("0", b"")
        outbox.next()
        outbox.hold_last()
    first = outbox.first_held("0")
    assert first is not None
    outbox.deliver_held(first)
    outbox.deliver_held(first)  # It is gone; the next one stays.
    outbox.rewind()

    assert (outbox.confirmed, len(outbox), outbox.is_waiting) == (1, 1, True)


def test_message_that_the_server_does_not_let_us_send_is_lost_and_not_confirmed() -> None:
    outbox = Outbox(10**6)
    for topic in ("allowed", "denied"):
        outbox.append(topic, b"")
        outbox.next()

    assert outbox.deny(lambda topic: topic == "denied") == "denied"
    assert outbox.deny(lambda topic: topic == "unknown") == ""
    outbox.confirm(outbox.sent_count)
    assert (outbox.confirmed, outbox.dropped) == (1, 1)


def test_sent_message_is_found_until_it_is_confirmed() -> None:
    outbox = Outbox(10**6)
    for number in range(1, 6):
        outbox.append(str(number), b"")
        outbox.next()
        if number == 3:
            outbox.refuse_last()
    outbox.append("6", b"")
    none_is_sent = Outbox(1).sent(1)
    outbox.confirm(1)
    found = [message and message.topic for message in map(outbox.sent, range(1, 7))]

    assert found == [None, "2", None, "4", "5", None]
    assert none_is_sent is None


def test_discarded_topics_are_gone_wherever_they_waited() -> None:
    outbox = Outbox(10**6)
    for number in (0, 1, 0, 1):
        outbox.append(str(number), b"")
    outbox.next()
    outbox.hold_last()

    assert outbox.discard(lambda topic: topic == "0") == 2
    assert [outbox.next().topic for _ in range(2)] == ["1", "1"]
    assert (outbox.is_waiting, outbox.dropped) == (False, 2)


def test_mark_from_before_a_lost_connection_confirms_nothing() -> None:
    outbox = Outbox(10**6)
    outbox.append("0", b"", once=True)
    outbox.append("1", b"")
    for _ in range(2):
        outbox.next()
    mark = outbox.sent_count
    outbox.rewind()
    outbox.append("2", b"")
    for _ in range(2):
        outbox.next()
    outbox.confirm(mark)
    assert (len(outbox), outbox.confirmed) == (2, 0)

    outbox.confirm(outbox.sent_count)
    assert (len(outbox), outbox.confirmed) == (0, 2)


def test_message_is_left_until_it_is_confirmed_or_lost() -> None:
    outbox = Outbox(10**6)
    for topic in ("confirmed", "refused", "parked", "discarded"):
        outbox.append(topic, b"")
    before = outbox.appended
    outbox.append("later", b"")
    assert (outbox.count_left(before), outbox.is_settled(before)) == (4, False)

    outbox.next()
    outbox.confirm(outbox.sent_count)
    outbox.next()
    outbox.refuse_last()
    outbox.next()
    outbox.hold_last()
    assert outbox.count_left(before) == 2
    outbox.rewind()
    assert outbox.count_left(before) == 2
    outbox.discard(lambda topic: topic == "discarded")
    assert (outbox.count_left(before), outbox.count_left(outbox.appended)) == (1, 2)
    outbox.discard(lambda topic: topic == "parked")
    assert (outbox.is_settled(before), outbox.is_settled(outbox.appended)) == (True, False)
    outbox.discard(lambda _: True)

    assert outbox.is_settled(outbox.appended)


def test_older_message_is_left_though_newer_ones_were_sent_before_it() -> None:
    outbox = Outbox(10**6)
    outbox.append("parked", b"")
    before = outbox.appended
    outbox.next()
    outbox.hold_last()
    outbox.append("other", b"")
    outbox.next()
    outbox.release_held("parked")
    outbox.confirm(1)
    assert not outbox.is_settled(before)
    outbox.confirm(2)

    assert outbox.is_settled(before)


@given(
    st.lists(st.one_of(st.integers(0, 300), st.sampled_from(["next", "confirm", "rewind", "park"])))
)
def test_size_stays_exact_and_below_the_bound(steps: list[int | str]) -> None:
    outbox = Outbox(2000)
    appended = 0
    for step in steps:
        if isinstance(step, int):
            outbox.append(str(appended % 3), bytes(step), f"{appended}")
            appended += 1
        elif step in {"next", "park"} and outbox.is_waiting:
            topic = outbox.next().topic
            # What follows a parked message on its topic is parked as well.
            if step == "park" or topic in outbox.held_topics:
                outbox.hold_last()
        elif step == "confirm":
            outbox.confirm(outbox.sent_count)
        elif step == "rewind":
            outbox.rewind()
        assert outbox.size_bytes <= 2000 or not (outbox.is_waiting or outbox.held_topics)
    outbox.rewind()
    count_left = outbox.count_left(outbox.appended)
    left = [outbox.next() for _ in range(len(outbox))]

    assert count_left == len(left)
    assert outbox.size_bytes == sum(len(item.payload) + OVERHEAD_BYTES for item in left)
    for topic in ("0", "1", "2"):
        numbers = [int(item.reply) for item in left if item.topic == topic]
        assert numbers == sorted(numbers)
