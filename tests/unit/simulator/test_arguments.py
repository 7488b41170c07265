"""Arguments as Asterisk separates them."""

import pytest

from ari_proxy.simulator.arguments import separated


@pytest.mark.parametrize(
    ("text", "arguments"),
    [
        ("", ()),
        ("a,b c", ("a", "b c")),
        (",a,", ("", "a", "")),
        (r"a\,b\\", ("a,b\\",)),
        ('"a,b",c', ("a,b", "c")),
        ("f(a,b),[c,d],e", ("f(a,b)", "[c,d]", "e")),
        ("a),b", ("a)", "b")),
    ],
)
def test_arguments_are_separated(text: str, arguments: tuple[str, ...]) -> None:
    assert separated(text) == arguments
