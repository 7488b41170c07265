"""Deadlines in the order of time."""

from ari_proxy.ingest.routing.deadlines import Deadlines


def deadlines(**at: float) -> Deadlines[str]:
    made: Deadlines[str] = Deadlines()
    for item, seconds in at.items():
        made.set(item, seconds)
    return made


def test_items_are_due_once_and_the_earliest_first() -> None:
    made = deadlines(a=1, b=2, c=3)

    assert made.due(0.9) == []
    assert made.due(2) == ["a", "b"]
    assert made.due(2) == []
    assert len(made) == 1


def test_later_deadline_replaces_a_former_one() -> None:
    made = deadlines(a=1, b=2)
    made.set("a", 3)

    assert len(made) == 2
    assert made.due(2) == ["b"]
    assert made.due(3) == ["a"]


def test_dropped_item_is_never_due() -> None:
    made = deadlines(a=1, b=2)
    made.drop("a")
    made.drop("unknown")

    assert made.due(9) == ["b"]
