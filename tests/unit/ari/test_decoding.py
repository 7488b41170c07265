"""URL decoding; tests/integration/test_decoding.py compares the same rules with Asterisk itself."""

import pytest

from ari_proxy.ari import decoding


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("plain", "plain"),
        ("a+b", "a b"),
        ("a%2Bb", "a+b"),
        ("a%2fb", "a/b"),
        ("100%", "100%"),
        ("%zz", "%zz"),
        ("a%00b", "a"),
        ("%4", "%4"),
        ("%4x", "\x04"),
        ("%+4", "\x04"),
        ("%C3%A4", "ä"),
        ("%ff", "\udcff"),
    ],
)
def test_text_is_decoded_as_asterisk_does(text: str, expected: str) -> None:
    assert decoding.decode(text) == expected


@pytest.mark.parametrize(
    ("path", "expected"),
    [
        ("/channels/1.2", ("channels", "1.2")),
        ("/channels/a%2Fb/play", ("channels", "a/b", "play")),
        ("/channels//play", ("channels",)),
        ("/", ()),
    ],
)
def test_empty_segment_ends_a_path(path: str, expected: tuple[str, ...]) -> None:
    assert decoding.segments(path) == expected


def test_parameters_come_in_order_with_their_repetitions() -> None:
    assert decoding.parameters("a=1&b=x%26y&a=2&c") == [
        ("a", "1"),
        ("b", "x&y"),
        ("a", "2"),
        ("c", ""),
    ]


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("", [""]),
        ("1.2,1.3", ["1.2", "1.3"]),
        ('"a,b",c', ["a,b", "c"]),
        ("f(a,b),c", ["f(a,b)", "c"]),
        ("x[a,b],c", ["x[a,b]", "c"]),
        ("a\\,b,c", ["a,b", "c"]),
        ("a),b", ["a)", "b"]),
    ],
)
def test_commas_within_quotes_and_brackets_separate_nothing(text: str, expected: list[str]) -> None:
    assert decoding.arguments(text) == expected


@pytest.mark.parametrize(("text", "expected"), [("ä", True), ("\udcff", False)])
def test_text_is_what_utf_8_can_encode(text: str, *, expected: bool) -> None:
    assert decoding.is_text(text) is expected
