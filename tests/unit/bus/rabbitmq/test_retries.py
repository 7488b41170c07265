"""What is tried again, and when."""

from ari_proxy.backoff import Backoff
from ari_proxy.bus.rabbitmq.retries import Retries


def retries() -> Retries:
    return Retries(Backoff(first_seconds=1, last_seconds=8, jitter=lambda: 1.0))


def test_names_take_turns() -> None:
    waiting = retries()
    for name in "abc":
        waiting.fail(name)

    assert [waiting.next_names(2) for _ in range(3)] == [["a", "b"], ["c", "a"], ["b", "c"]]


def test_pause_grows_with_failures_and_what_is_new_does_not_wait_for_the_old() -> None:
    waiting = retries()
    pauses = []
    for _ in range(5):
        waiting.fail("old")
        pauses.append(waiting.pause_seconds)
    waiting.add("new")

    assert pauses == [2, 4, 8, 8, 8]
    assert waiting.pause_seconds == 1


def test_what_is_forgotten_begins_anew() -> None:
    waiting = retries()
    counts = [waiting.fail("a"), waiting.fail("a")]
    waiting.add("a")  # It has failed already.
    waiting.forget("a")
    waiting.forget("unknown")

    assert not waiting
    assert [*counts, waiting.fail("a")] == [1, 2, 1]
