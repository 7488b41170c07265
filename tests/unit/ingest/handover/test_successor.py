"""Which successor gets the dialogs."""

from ari_proxy.ingest.handover.successor import Successor


class Clock:
    """A clock that is set by hand."""

    def __init__(self) -> None:
        self.now = 0.0

    def __call__(self) -> float:
        return self.now


def test_successor_that_does_not_ask_for_too_long_is_silent() -> None:
    clock = Clock()
    successor = Successor(clock, silence_seconds=3)
    successor.become("s")
    successor.note_request()
    clock.now = 3.0
    assert not successor.is_silent
    clock.now = 3.5
    assert successor.is_silent
    successor.note_request()

    assert not successor.is_silent


def test_only_the_one_after_another_is_late() -> None:
    successor = Successor(Clock(), silence_seconds=3)
    assert successor.name == ""
    successor.become("s")
    assert (successor.name, successor.is_late) == ("s", False)
    successor.become("t")
    assert (successor.name, successor.is_late) == ("t", True)
    successor.forget()
    assert (successor.name, successor.is_late) == ("", False)
    successor.become("u")

    assert (successor.name, successor.is_late) == ("u", False)
