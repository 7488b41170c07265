import pytest

from ari_proxy.bus.durable import DeclaredQueues
from ari_proxy.bus.rabbitmq.declared import Declared

ONE = ("events_s.one", "commands_s.one")
TWO = ("events_s.two", "commands_s.two")


@pytest.fixture
def declared() -> Declared:
    found = Declared()
    with found.declaring(ONE, "note"):
        pass
    found.add(("application",))
    return found


def test_what_was_declared_is_there_until_it_is_removed(declared: Declared) -> None:
    before = declared.queues
    declared.remove(ONE)

    assert before == ["application", *ONE]
    assert declared.queues == ["application"]


def test_queue_that_is_being_deleted_is_not_to_stay(declared: Declared) -> None:
    with declared.deleting(ONE):
        during = declared.has(ONE[0])

    assert not during
    assert declared.has(ONE[0])
    assert declared.has("application")
    assert not declared.has("other")


def test_queue_that_is_being_declared_is_not_listed_or_recorded_yet(declared: Declared) -> None:
    with declared.declaring(TWO, "other note"):
        listed, unrecorded = declared.matching("commands_s.*"), declared.unrecorded(())

    assert listed == ["commands_s.one"]
    assert unrecorded == [DeclaredQueues(ONE, "note")]
    assert declared.unrecorded([ONE]) == [DeclaredQueues(TWO, "other note")]


def test_queues_of_a_predecessor_are_taken_over_once(declared: Declared) -> None:
    first, again = (declared.take_over(DeclaredQueues(TWO, "theirs")) for _ in range(2))
    declared.hand_over()

    assert (first, again) == (True, False)
    assert declared.queues == ["application"]
