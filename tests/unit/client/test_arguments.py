"""Arguments of an application in one text."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ari_proxy.client.arguments import joined
from ari_proxy.simulator.arguments import separated


@given(st.lists(st.text(alphabet='ab ,\\"()[]', max_size=4), max_size=4))
def test_asterisk_separates_into_what_was_joined(arguments: list[str]) -> None:
    if arguments != [""]:
        assert separated(joined(arguments) or "") == tuple(arguments)


def test_plain_ones_stay_as_they_are() -> None:
    assert joined(["a", "b c"]) == "a,b c"


def test_only_one_that_is_empty_is_refused() -> None:
    with pytest.raises(ValueError, match="the only argument is empty"):
        joined([""])
