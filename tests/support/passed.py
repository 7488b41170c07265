"""A pytest plugin that leaves out what another run has passed: `-p tests.support.passed`."""

from pathlib import Path

import pytest


def pytest_addoption(parser: pytest.Parser) -> None:
    group = parser.getgroup("passed")
    group.addoption("--passed-to", type=Path, metavar="FILE", help="write the tests that pass")
    group.addoption("--not-in", type=Path, metavar="FILE", help="leave out the tests in FILE")


def pytest_configure(config: pytest.Config) -> None:
    """Write the file where all reports arrive: not in a worker of pytest-xdist."""
    path = config.getoption("--passed-to")
    if path is not None and not hasattr(config, "workerinput"):
        config.pluginmanager.register(_Writer(path))


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    path = config.getoption("--not-in")
    if path is not None:
        passed = frozenset(path.read_text().splitlines())
        config.hook.pytest_deselected(items=[item for item in items if item.nodeid in passed])
        items[:] = [item for item in items if item.nodeid not in passed]


class _Writer:
    def __init__(self, path: Path) -> None:
        self._path = path
        self._failed: set[str] = set()
        self._called: dict[str, None] = {}

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        if report.failed:
            self._failed.add(report.nodeid)
        elif report.when == "call" and report.passed:
            self._called[report.nodeid] = None

    def pytest_sessionfinish(self) -> None:
        passed = [test for test in self._called if test not in self._failed]
        self._path.write_text("".join(f"{test}\n" for test in passed))
