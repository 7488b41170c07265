"""What stays in force while a file can't be read again."""

import pytest
from structlog.testing import capture_logs

from ari_proxy.connections.rereading import last_good
from ari_proxy.settings.errors import SettingsError


class Source:
    """Returns a value, or raises a problem."""

    def __init__(self, value: str) -> None:
        self.value = value
        self.problem = ""

    def read(self) -> str:
        if self.problem:
            raise SettingsError([self.problem])
        return self.value


def test_last_good_value_is_returned_while_reading_fails() -> None:
    source = Source("old")
    current = last_good(source.read)
    source.value, source.problem = "new", "gone"
    assert current() == "old"
    source.problem = ""
    assert current() == "new"


def test_each_different_problem_is_logged_once() -> None:
    source = Source("old")
    current = last_good(source.read)
    with capture_logs() as logs:
        for source.problem in ("gone", "gone", "empty", "", "empty"):
            current()

    assert [line["problem"] for line in logs] == ["gone", "empty", "empty"]


def test_first_failure_is_raised() -> None:
    source = Source("")
    source.problem = "gone"
    with pytest.raises(SettingsError, match="gone"):
        last_good(source.read)
