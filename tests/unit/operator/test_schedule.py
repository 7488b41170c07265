"""What is due when."""

from ari_proxy.operator.schedule import GATHER_SECONDS, Schedule

KEY, OTHER = ("voice", "a"), ("voice", "b")


class Time:
    def __init__(self) -> None:
        self.now = 100.0

    def __call__(self) -> float:
        return self.now


def test_changes_are_gathered_into_one_look() -> None:
    time = Time()
    schedule = Schedule(time)
    for _ in range(5):
        schedule.put(KEY)
    assert schedule.take() is None
    time.now += GATHER_SECONDS

    assert schedule.take() == KEY
    assert schedule.take() is None
    assert len(schedule) == 0


def test_change_during_a_look_has_it_repeated_and_not_doubled() -> None:
    time = Time()
    schedule = Schedule(time)
    schedule.put(KEY, 0)
    assert schedule.take() == KEY
    schedule.put(KEY, 0)
    assert schedule.take() is None
    assert schedule.wait_seconds() is None
    schedule.done(KEY, 600)

    assert schedule.take() == KEY


def test_earlier_time_wins() -> None:
    time = Time()
    schedule = Schedule(time)
    schedule.put(KEY, 600)
    schedule.put(KEY, 1)
    schedule.put(KEY, 30)
    assert schedule.wait_seconds() == 1


def test_what_waited_longest_comes_first() -> None:
    time = Time()
    schedule = Schedule(time)
    schedule.put(OTHER, 1)
    schedule.put(KEY, 2)
    time.now += 5

    assert [schedule.take(), schedule.take(), schedule.take()] == [OTHER, KEY, None]


def test_failures_are_repeated_after_longer_and_longer_pauses() -> None:
    time = Time()
    schedule = Schedule(time)
    pauses = []
    for _ in range(12):
        schedule.put(KEY, 0)
        assert schedule.take() == KEY
        pauses.append(schedule.failed(KEY))
        time.now += pauses[-1]
        assert schedule.take() == KEY
        schedule.failed(KEY)
        time.now += 1000

    assert pauses[0] <= 1
    assert 60 <= pauses[-1] <= 120


def test_success_forgets_failures() -> None:
    time = Time()
    schedule = Schedule(time)
    for _ in range(5):
        schedule.put(KEY, 0)
        schedule.take()
        schedule.failed(KEY)
        time.now += 1000
    schedule.take()
    schedule.done(KEY, None)
    assert schedule.wait_seconds() is None
    schedule.put(KEY, 0)
    schedule.take()

    assert schedule.failed(KEY) <= 1
