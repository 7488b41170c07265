"""When a resource is due."""

from ari_proxy.operator.objects import ResourceKey
from ari_proxy.operator.schedule import DEBOUNCE_SECONDS, Schedule
from tests.support.clock import Clock

KEY, OTHER = ResourceKey("voice", "a"), ResourceKey("voice", "b")


def test_burst_of_changes_is_one_run() -> None:
    clock = Clock()
    schedule = Schedule(clock)
    for _ in range(5):
        schedule.put(KEY)
    assert schedule.start_next() is None
    clock.now += DEBOUNCE_SECONDS

    assert schedule.start_next() == KEY
    assert schedule.start_next() is None
    assert len(schedule) == 0


def test_change_during_a_run_leads_to_another_one_after_it() -> None:
    clock = Clock()
    schedule = Schedule(clock)
    schedule.put(KEY, 0)
    assert schedule.start_next() == KEY
    schedule.put(KEY, 0)
    assert schedule.start_next() is None
    assert schedule.wait_seconds() is None
    schedule.done(KEY, 600)

    assert schedule.start_next() == KEY


def test_earliest_due_time_wins() -> None:
    schedule = Schedule(Clock())
    schedule.put(KEY, 600)
    schedule.put(KEY, 1)
    schedule.put(KEY, 30)

    assert schedule.wait_seconds() == 1


def test_longest_due_resource_comes_first() -> None:
    clock = Clock()
    schedule = Schedule(clock)
    schedule.put(OTHER, 1)
    schedule.put(KEY, 2)
    clock.now += 5

    assert [schedule.start_next() for _ in range(3)] == [OTHER, KEY, None]


def test_failures_are_retried_after_growing_pauses() -> None:
    clock = Clock()
    schedule = Schedule(clock)
    pauses = []
    for _ in range(12):
        schedule.put(KEY, 0)
        assert schedule.start_next() == KEY
        pauses.append(schedule.failed(KEY))
        clock.now += pauses[-1]
        assert schedule.start_next() == KEY
        schedule.failed(KEY)
        clock.now += 1000

    assert pauses[0] <= 1
    assert 60 <= pauses[-1] <= 120


def test_success_resets_the_pause() -> None:
    clock = Clock()
    schedule = Schedule(clock)
    for _ in range(5):
        schedule.put(KEY, 0)
        schedule.start_next()
        schedule.failed(KEY)
        clock.now += 1000
    schedule.start_next()
    schedule.done(KEY, None)
    assert schedule.wait_seconds() is None
    schedule.put(KEY, 0)
    schedule.start_next()

    assert schedule.failed(KEY) <= 1
