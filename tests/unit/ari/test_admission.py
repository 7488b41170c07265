"""Whether a handshake is Asterisk's, and what a log may show of it."""

import pytest

from ari_proxy.ari.admission import are_credentials, shown, user_of
from ari_proxy.ari.credentials import Credentials

OURS = Credentials("ari", "geheim:é").authorization


@pytest.mark.parametrize("given", [OURS, OURS.replace("Basic", "basic"), OURS.replace(" ", "  ")])
def test_right_credentials_in_any_form_of_the_header(given: str) -> None:
    assert are_credentials(given, OURS)


@pytest.mark.parametrize(
    "given",
    [
        "",
        "Basic",
        "Basic ",
        OURS[:-1],
        OURS.replace("Basic", "Bearer"),
        OURS.removeprefix("Basic "),
        Credentials("ari", "geheim").authorization,
        Credentials("other", "geheim:é").authorization,
        f"{OURS},{OURS}",
        "Basic ÿ\udcff",
    ],
)
def test_wrong_credentials(given: str) -> None:
    assert not are_credentials(given, OURS)


def test_log_shows_the_user_only() -> None:
    assert user_of(OURS) == "ari"
    assert user_of("Basic bm8gY29sb24=") == ""
    assert user_of("Basic ???") == ""
    assert user_of("") == ""


def test_log_shows_no_control_characters_and_no_megabytes() -> None:
    assert shown("/a\r\nb\x1b") == "/a\\r\\nb\\x1b"
    assert len(shown("x" * 10_000)) <= 100
