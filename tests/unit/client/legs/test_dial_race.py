"""Which of several dialled channels has the call."""

import pytest

from ari_proxy.client import events
from ari_proxy.client.ari.model import Event
from ari_proxy.client.errors import Busy, NoAnswer, Rejected
from ari_proxy.client.legs.dial_race import DialRace
from tests.support.client_events import channel, event


def answered(name: str) -> Event:
    return event("StasisStart", args=[], channel=channel(name))


def ended(name: str, cause: int) -> Event:
    return event("ChannelDestroyed", cause=cause, cause_txt="", channel=channel(name))


@pytest.fixture
def race() -> DialRace:
    return DialRace({"1": "PJSIP/a", "2": "PJSIP/b"})


def test_first_answer_wins_and_the_others_are_pending(race: DialRace) -> None:
    assert (race.is_over, race.pending) == (False, ["1", "2"])

    race.take(answered("2"))
    race.take(answered("1"))

    assert (race.is_over, race.winner, race.pending) == (True, "2", ["1"])


def test_race_goes_on_when_one_fails(race: DialRace) -> None:
    race.take(ended("1", 17))
    assert (race.is_over, race.pending) == (False, ["2"])

    race.take(answered("1"))
    assert race.winner is None
    race.take(answered("2"))
    assert race.winner == "2"


def test_channel_that_is_given_up_can_not_win(race: DialRace) -> None:
    race.give_up("1")
    race.take(answered("1"))
    assert (race.winner, race.pending, race.entered) == (None, ["1", "2"], set())

    race.take(answered("2"))
    assert (race.winner, race.pending) == ("2", ["1"])


def test_other_channels_do_not_concern_it(race: DialRace) -> None:
    race.take(answered("caller"))
    race.take(ended("caller", 16))
    race.take(event("ChannelDtmfReceived", digit="1", duration_ms=1, channel=channel("1")))
    assert race.pending == ["1", "2"]


@pytest.mark.parametrize(
    ("causes", "error", "cause"),
    [
        ((17, 17), Busy, 17),
        ((21, 17), Busy, 17),
        ((17, 19), NoAnswer, None),
        ((18, 21), NoAnswer, None),
        ((21, 34), Rejected, 21),
        ((None, 34), Rejected, 34),
        ((None, None), Rejected, None),
    ],
)
def test_failure_is_what_comes_nearest_to_an_answer(
    race: DialRace, causes: tuple[int | None, ...], error: type[Exception], cause: int | None
) -> None:
    for name, one in zip("12", causes, strict=True):
        race.fail(name, one)

    failure = race.error()

    assert race.is_over
    assert type(failure) is error
    assert (failure.cause, failure.endpoints) == (cause, ("PJSIP/a", "PJSIP/b"))


def test_channels_that_still_ring_have_not_answered(race: DialRace) -> None:
    race.take(ended("1", 17))
    assert isinstance(race.error(), NoAnswer)


def test_messages_say_who_was_dialled(race: DialRace) -> None:
    race.fail("1", 17)
    race.fail("2", 17)
    assert str(race.error()) == "PJSIP/a, PJSIP/b: busy, cause 17"


def test_channels_are_to_be_read_after_a_gap(race: DialRace) -> None:
    race.take(event("ProxyGap", reason="x"))
    assert race.missed.are_unread
    (there,) = [event("StasisEnd", channel=channel("1"))]
    assert isinstance(there, events.StasisEnd)

    race.read(there.channel)

    assert race.winner == "1"


def test_channel_that_rings_yet_has_not_answered(race: DialRace) -> None:
    shown = channel("1", "Ringing")
    shown["dialplan"]["app_name"] = "AppDial2"
    there = event("StasisEnd", channel=shown)
    assert isinstance(there, events.StasisEnd)

    race.read(there.channel)

    assert not race.is_over


def test_winner_does_not_fail(race: DialRace) -> None:
    race.take(answered("1"))
    race.take(ended("1", 16))
    assert race.winner == "1"
