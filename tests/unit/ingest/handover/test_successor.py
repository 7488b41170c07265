"""Which successor gets the dialogs."""

from ari_proxy.ingest.handover.successor import Successor


def test_successor_that_does_not_ask_for_too_long_is_silent() -> None:
    successor = Successor(silence_seconds=3)
    successor.become("s")
    successor.note_request(10.0)
    assert not successor.is_silent(13.0)
    assert successor.is_silent(13.5)
    successor.note_request(13.5)

    assert not successor.is_silent(13.5)


def test_one_without_a_name_is_one_too() -> None:
    successor = Successor(silence_seconds=3)
    for name in ("s", "", "t"):
        successor.become(name)

    assert successor.is_late


def test_only_the_one_after_another_is_late() -> None:
    successor = Successor(silence_seconds=3)
    assert successor.name == ""
    successor.become("s")
    assert (successor.name, successor.is_late) == ("s", False)
    successor.become("t")
    assert (successor.name, successor.is_late) == ("t", True)
    successor.forget()
    assert (successor.name, successor.is_late) == ("", False)
    successor.become("u")

    assert (successor.name, successor.is_late) == ("u", False)
