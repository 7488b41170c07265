"""What the tests of this tier need of the machine; looked for before anything is started."""

import shutil

import pytest

from tests.support.servers import missing


@pytest.fixture
def chromium() -> str:
    """The browser's program."""
    found = shutil.which("chromium")
    if found is None:
        missing("chromium", "apt-get install chromium")
        raise AssertionError
    return found


@pytest.fixture
def prometheus() -> None:
    """Prometheus and promtool."""
    if shutil.which("prometheus") is None:
        missing("prometheus", "apt-get install prometheus")
