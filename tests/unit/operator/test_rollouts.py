"""Who is woken when there is room for another roll-out."""

from ari_proxy.operator.decide.rollout import Elsewhere, Rollout
from ari_proxy.operator.objects import ResourceKey
from ari_proxy.operator.rollouts import Rollouts

A, B, C = (ResourceKey("voice", name) for name in "abc")
ROLLING = Rollout(rolling=("x",))
QUEUED = Rollout(waiting=("x",), is_queued=True)


def test_own_roll_outs_are_not_those_of_others() -> None:
    rollouts = Rollouts(5, lambda _: None)
    rollouts.note(A, Rollout(rolling=("x", "y"), broken=("z",)))
    rollouts.note(B, ROLLING)

    assert rollouts.elsewhere(A) == Elsewhere(5, 1, 0)
    assert rollouts.elsewhere(B) == Elsewhere(5, 2, 1)
    assert rollouts.elsewhere(C) == Elsewhere(5, 3, 1)


def test_first_that_waits_is_woken_when_another_has_ended() -> None:
    woken: list[ResourceKey] = []
    rollouts = Rollouts(1, woken.append)
    rollouts.note(A, ROLLING)
    rollouts.note(B, QUEUED)
    rollouts.note(C, QUEUED)
    assert woken == []
    rollouts.note(A, Rollout())

    assert woken == [B]


def test_resource_that_can_not_be_reconciled_lets_the_next_one_go_first() -> None:
    woken: list[ResourceKey] = []
    rollouts = Rollouts(1, woken.append)
    rollouts.note(A, ROLLING)
    rollouts.note(B, QUEUED)
    rollouts.note(C, QUEUED)
    rollouts.note(A, Rollout())
    rollouts.pass_over(B, ())
    assert woken == [B, C]
    rollouts.pass_over(C, ())
    # Both are tried again after a pause, and not before.
    assert woken == [B, C]

    rollouts.note(B, QUEUED)
    rollouts.note(C, ROLLING)
    rollouts.note(C, Rollout())
    assert woken == [B, C, B]


def test_resource_that_can_not_be_reconciled_has_the_place_of_what_is_in_progress() -> None:
    rollouts = Rollouts(1, lambda _: None)
    rollouts.note(A, Rollout(rolling=("x", "y"), broken=("z",)))
    rollouts.pass_over(A, ("y", "z"))

    assert rollouts.elsewhere(B) == Elsewhere(1, 1, 1)


def test_resource_that_is_gone_leaves_its_place() -> None:
    woken: list[ResourceKey] = []
    rollouts = Rollouts(1, woken.append)
    rollouts.note(A, ROLLING)
    rollouts.note(B, QUEUED)
    rollouts.forget(A)

    assert woken == [B]
    assert rollouts.elsewhere(B).rolling == 0


def test_failed_image_of_the_installation_holds_back_only_those_that_get_it() -> None:
    woken: list[ResourceKey] = []
    rollouts = Rollouts(1, woken.append)
    rollouts.note(A, ROLLING)
    rollouts.note(B, Rollout(waiting=("x",), is_queued=True, is_of_installation=True))
    rollouts.note(C, QUEUED)
    rollouts.note(A, Rollout(failed=("x",), broken=("x",)))

    assert woken == [C]


def test_without_a_limit_nobody_is_woken() -> None:
    woken: list[ResourceKey] = []
    rollouts = Rollouts(None, woken.append)
    rollouts.note(A, QUEUED)
    rollouts.note(B, ROLLING)
    rollouts.note(B, Rollout())

    assert woken == []


def test_what_could_not_be_applied_takes_nobodys_place() -> None:
    begun = Rollout(started=("x", "z"), rolling=("w", "x", "z"), waiting=("y",))
    rollouts = Rollouts(3, lambda _: None)
    rollouts.note(A, begun)
    rollouts.note(A, begun.of_applied({"w", "z"}))

    assert rollouts.elsewhere(B).rolling == 2
    assert begun.of_applied({"w", "z"}).waiting == ("x", "y")


def test_other_objects_that_could_not_be_applied_free_no_place() -> None:
    begun = Rollout(started=("x",), rolling=("x",), waiting=("y",), is_queued=True)

    assert begun.of_applied({"x"}) == begun


def test_resources_that_are_refused_do_not_wake_each_other() -> None:
    """They are tried again by and by."""
    woken: list[ResourceKey] = []
    rollouts = Rollouts(1, woken.append)
    begun = Rollout(started=("x",), rolling=("x",), waiting=("y",), is_queued=True)
    for key in (A, B):
        rollouts.note(key, begun)
        rollouts.note(key, begun.of_applied(()))

    assert woken == []
