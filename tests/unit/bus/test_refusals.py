from ari_proxy.bus.refusals import ServerRefusals


def test_refusals_are_counted_once_each_and_summed_up() -> None:
    refusals = ServerRefusals()

    assert refusals.summary == ""
    assert refusals.add("queue", "the queue is not consumed")
    assert not refusals.add("queue", "the queue is not consumed: its node is down")
    assert refusals.summary == "the queue is not consumed: its node is down"
    assert refusals.add("topic", "the account may not publish")
    assert refusals.summary == "the queue is not consumed: its node is down (and 1 more)"
    assert refusals.remove("queue")
    assert not refusals.remove("queue")
    assert refusals.summary == "the account may not publish"
    assert (len(refusals), refusals.total) == (1, 2)


def test_what_is_not_needed_is_counted_alone() -> None:
    refusals = ServerRefusals()

    assert refusals.add("topic", "the account may not publish", is_needed=False)
    assert (refusals.summary, len(refusals), refusals.total) == ("", 1, 1)
    assert refusals.remove("topic")
    assert refusals.add("topic", "the account may not publish")
    assert refusals.summary == "the account may not publish"
