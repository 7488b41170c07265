"""What one run of the tests passed, and another one leaves out."""

import os
import subprocess
import sys
from pathlib import Path

from tests.support.coverage import ROOT

TESTS = """
import pytest

@pytest.fixture
def unfinished():
    yield
    raise OSError

def test_good(): pass
def test_good_as_well(): pass
def test_bad(): assert False
def test_skipped(): pytest.skip("no server")
def test_torn_down_badly(unfinished): pass
@pytest.mark.parametrize("name", ["a b", "a\\nb"])
def test_named(name): pass
"""


def outcome(directory: Path, *arguments: str) -> str:
    """Return the summary of a run of these tests."""
    command = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider"]
    finished = subprocess.run(
        [*command, "-p", "tests.support.passed", *arguments, "test_them.py"],
        cwd=directory,
        env={**os.environ, "PYTHONPATH": str(ROOT), "PYTEST_ADDOPTS": ""},
        capture_output=True,
        text=True,
        check=False,
    )
    return finished.stdout.splitlines()[-1]


def test_a_run_leaves_out_what_another_one_passed(tmp_path: Path) -> None:
    (tmp_path / "test_them.py").write_text(TESTS)
    passed = tmp_path / "passed"

    first = outcome(tmp_path, "-n1", "--passed-to", str(passed))
    assert "1 failed, 5 passed, 1 skipped, 1 error" in first
    assert "1 failed, 1 passed, 1 skipped, 4 deselected, 1 error" in outcome(
        tmp_path, "--not-in", str(passed)
    )
    assert set(passed.read_text().splitlines()) == {
        "test_them.py::test_good",
        "test_them.py::test_good_as_well",
        "test_them.py::test_named[a b]",
        r"test_them.py::test_named[a\nb]",
    }
