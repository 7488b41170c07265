"""What the tests of this tier need of the machine; looked for before anything is started."""

import pytest

from tests.support.programs import program


@pytest.fixture
def chromium() -> str:
    """The browser's program."""
    return program("chromium")


@pytest.fixture
def prometheus() -> None:
    """Prometheus and promtool."""
    program("prometheus")
