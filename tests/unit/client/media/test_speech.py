"""Media for what is said."""

from datetime import date

import pytest

from ari_proxy.client.media.speech import media, spoken


@pytest.mark.parametrize(
    ("what", "expected"),
    [
        (42, ["number:42"]),
        (-1, ["number:-1"]),
        ("0042#", ["digits:0042#"]),
        ("A1", ["characters:A1"]),
        (
            date(2026, 11, 28),
            [
                "sound:digits/day-6",
                "sound:digits/mon-10",
                "sound:digits/20",
                "sound:digits/h-8",
                "number:2026",
            ],
        ),
    ],
)
def test_number_digits_letters_and_a_date(what: int | str | date, expected: list[str]) -> None:
    assert spoken(what) == expected


@pytest.mark.parametrize(
    ("day", "expected"),
    [
        (1, ["sound:digits/h-1"]),
        (20, ["sound:digits/h-20"]),
        (21, ["sound:digits/20", "sound:digits/h-1"]),
        (30, ["sound:digits/h-30"]),
        (31, ["sound:digits/30", "sound:digits/h-1"]),
    ],
)
def test_days_are_ordinal_numbers(day: int, expected: list[str]) -> None:
    assert spoken(date(2026, 1, day))[2:-1] == expected


@pytest.mark.parametrize(
    ("year", "expected"),
    [
        (1984, ["number:19", "number:84"]),
        (1905, ["number:19", "sound:digits/oh", "number:5"]),
        (1900, ["number:19", "sound:digits/hundred"]),
        (2000, ["number:2000"]),
    ],
)
def test_years_before_2000_are_two_numbers(year: int, expected: list[str]) -> None:
    assert spoken(date(year, 1, 1))[3:] == expected


def test_sunday_is_the_first_day() -> None:
    assert spoken(date(2026, 11, 29))[0] == "sound:digits/day-0"


def test_nothing_can_not_be_said() -> None:
    with pytest.raises(ValueError, match="empty"):
        spoken("")


def test_one_media_is_a_list_of_one() -> None:
    assert media("sound:a") == ["sound:a"]
    assert media(("sound:a", "sound:b")) == ["sound:a", "sound:b"]
