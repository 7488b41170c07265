"""Requests that Asterisk refuses; `tests/integration/test_wrong_requests.py` compares them all."""

import pytest

from ari_proxy.ari.operations import template_of
from ari_proxy.simulator import checks
from ari_proxy.simulator.model import SimulatedRefusalError, number
from ari_proxy.simulator.parameter_table import CHECKED

PLAY = "/channels/{channelId}/play"


@pytest.mark.parametrize(
    ("method", "path", "status"),
    [
        ("GET", "/nothing", 404),
        ("GET", "/channels/", 404),
        ("PUT", "/channels", 405),
        ("GET", "/channels/create", 405),
        ("GET", "/channels/1.2", 0),
        ("DELETE", "/channels/1.2/moh", 0),
    ],
)
def test_operations_are_aris(method: str, path: str, status: int) -> None:
    if not status:
        checks.refuse_unknown(method, path, template_of(path))
        return
    with pytest.raises(SimulatedRefusalError) as refused:
        checks.refuse_unknown(method, path, template_of(path))
    assert refused.value.status == status


def refusal(method: str, template: str, *, is_found: bool = True, **asked: str) -> str:
    try:
        checks.refuse_wrong(method, template, asked, is_found=is_found)
    except SimulatedRefusalError as refused:
        return f"{refused.status} {refused}"
    return ""


def test_required_parameter_is_missed() -> None:
    assert refusal("POST", PLAY) == "500 Failed to queue media for playback"
    assert refusal("POST", PLAY, media="sound:x") == ""
    assert refusal("POST", "/bridges/{bridgeId}/play") == "500 Allocation failed"


def test_value_is_one_of_those_allowed() -> None:
    mute = "/channels/{channelId}/mute"

    assert refusal("POST", mute, direction="sideways") == "400 Invalid direction specified"
    assert refusal("POST", mute, direction="in") == ""
    assert refusal("POST", mute) == ""


def test_number_is_not_below_its_range() -> None:
    assert (
        refusal("POST", PLAY, media="sound:x", offsetms="-1") == "400 offsetms cannot be negative"
    )
    assert refusal("POST", PLAY, media="sound:x", offsetms="0") == ""
    assert refusal("POST", PLAY, media="sound:x", offsetms="some") == ""


def test_some_parameters_are_looked_at_before_the_object() -> None:
    control = "/playbacks/{playbackId}/control"

    assert refusal("POST", control, is_found=False) == "400 Missing operation"
    assert refusal("POST", control, is_found=False, operation="x") == "400 Invalid operation x"
    assert refusal("POST", PLAY, is_found=False) == ""


def test_what_is_accepted_although_it_is_not_described() -> None:
    assert refusal("POST", "/channels/create", endpoint="Local/100@default") == ""
    assert refusal("GET", "/asterisk/info", only="sideways") == ""
    assert refusal("GET", "/channels") == ""
    assert "app" in CHECKED["POST", "/channels/create"].required


@pytest.mark.parametrize(
    ("text", "expected"), [("12", 12), ("-1", -1), (" +3x", 3), ("some", 0), ("", 0), ("1.9", 1)]
)
def test_numbers_are_read_as_asterisk_reads_them(text: str, expected: int) -> None:
    assert number(text) == expected
