"""What a version has."""

import pytest

from ari_proxy.ari import versions
from ari_proxy.ari.errors import UnconfigurableError


@pytest.mark.parametrize(
    ("text", "numbers"),
    [
        ("22.10.1+dfsg+~cs6.17.60671434-1", (22, 10, 1)),
        ("20.18", (20, 18, 0)),
        ("certified/20.7-cert11", (20, 7, 0)),
        ("certified-22.8-cert4", (22, 8, 0)),
        ("GIT-22-22.0.0-pre1", None),
        ("", None),
    ],
)
def test_version_is_read(text: str, numbers: versions.Version | None) -> None:
    assert versions.parse(text) == numbers


@pytest.mark.parametrize(
    ("version", "expected"),
    [
        ((16, 28, 0), False),
        ((20, 14, 9), False),
        ((20, 15, 0), True),
        ((21, 10, 0), True),
        ((22, 4, 2), False),
        ((22, 5, 0), True),
        ((23, 0, 0), True),
        ((24, 0, 0), True),
    ],
)
def test_later_branches_have_what_earlier_ones_got(
    version: versions.Version, *, expected: bool
) -> None:
    assert versions.has(version, versions.OUTBOUND_WEBSOCKETS) is expected


def test_branch_that_never_got_it_has_it_not() -> None:
    assert not versions.has((21, 12, 2), versions.KEEP_ALIVES)


def test_text_that_is_no_version_is_refused_with_how_to_write_one() -> None:
    assert versions.parsed("22.10.1") == (22, 10, 1)
    with pytest.raises(UnconfigurableError, match=r"'trunk' is no version .* 22\.10\.1"):
        versions.parsed("trunk")
