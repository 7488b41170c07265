"""Channels that snoop of the simulated Asterisk."""

from collections.abc import Mapping

import pytest

from ari_proxy.simulator.model import SimulatedChannel, SimulatedRefusalError
from ari_proxy.simulator.snooping import snoop

TARGET = SimulatedChannel(id="c", app="demo")
CHANNELS = {"c": TARGET}
SPY = {"app": "demo", "spy": "in"}


def test_channel_that_snoops() -> None:
    made = snoop("c", "", SPY | {"snoopId": "s", "appArgs": "a,b"}, CHANNELS)

    assert (made.id, made.app, made.arguments, made.state) == ("s", "demo", ("a", "b"), "Up")
    assert made.name.startswith("Snoop/")
    assert made.snooped == "c"


def test_name_in_the_path_comes_first_and_without_one_there_is_a_new_one() -> None:
    named = snoop("c", "path", SPY | {"snoopId": "s"}, CHANNELS)
    first, second = (snoop("c", "", {"app": "demo", "whisper": "out"}, CHANNELS) for _ in range(2))

    assert named.id == "path"
    assert first.id != second.id
    assert first.arguments == ()


@pytest.mark.parametrize(
    ("target", "name", "asked", "status", "text"),
    [
        ("c", "s", {"app": "demo"}, 400, "at least spy or whisper"),
        ("c", "s", {"app": "demo", "spy": "none"}, 400, "at least spy or whisper"),
        ("c", "s", {"app": "demo", "spy": "up"}, 400, "Invalid direction specified for spy"),
        ("c", "s", SPY | {"whisper": "x"}, 400, "Invalid direction specified for whisper"),
        ("c", "s", {"spy": "in"}, 400, "Application name is required"),
        ("gone", "s", SPY, 404, "Provided channel was not found"),
        ("c", "c", SPY, 500, "Snoop channel could not be created"),
    ],
)
def test_refusals(target: str, name: str, asked: Mapping[str, str], status: int, text: str) -> None:
    with pytest.raises(SimulatedRefusalError, match=text) as failure:
        snoop(target, name, dict(asked), CHANNELS)

    assert failure.value.status == status
