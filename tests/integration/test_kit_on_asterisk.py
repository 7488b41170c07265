"""Tests of applications say the same on the simulated Asterisk and on a real one."""

import re
import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest

from ari_proxy.testing import target
from tests.support import call_suite
from tests.support.own_pytest import run_pytest
from tests.support.servers import PASSWORD, Asterisk

PAGE = Path(__file__).parents[2] / "docs/testing-applications.md"
CONFTEST = """
from ari_proxy.testing import VirtualTimeLoop


def pytest_asyncio_loop_factories(config, item):
    return {"virtual": VirtualTimeLoop}
"""
#: For tests of real calls on a busy machine.
pytestmark = pytest.mark.timeout(400)


def shown(language: str) -> list[str]:
    """Return the blocks of the page in a language."""
    return re.findall(rf"```{language}\n(.*?)```", PAGE.read_text(), re.DOTALL)


@pytest.fixture(scope="module")
def asterisk_with_extensions(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Asterisk]:
    """Asterisk 22 with the extensions of the page."""
    (lines,) = shown("ini")
    extra = tmp_path_factory.mktemp("asterisk") / "extensions.conf"
    extra.write_text(lines)
    asterisk = Asterisk("22", extra=extra)
    try:
        asterisk.start()
        yield asterisk
    finally:
        asterisk.remove()


@pytest.fixture
def suite(tmp_path: Path) -> Path:
    """A folder with the suite."""
    (tmp_path / "conftest.py").write_text(CONFTEST)
    shutil.copy(call_suite.__file__, tmp_path / "test_calls.py")
    return tmp_path


def run(directory: Path, *options: str, asterisk: Asterisk | None = None) -> str:
    """Run tests, and return what pytest tells."""
    variables = {}
    if asterisk is not None:
        variables = {target.VARIABLE: f"ari://ari:{PASSWORD}@127.0.0.1:{asterisk.port}"}
        options = (*options, "--ari-asterisk")
    loaded = ("-o", "asyncio_mode=auto", "-p", "ari_proxy.pytest_plugin", "-rs")
    ended = run_pytest(directory, *loaded, *options, variables=variables)
    told = ended.stdout + ended.stderr
    assert PASSWORD not in told
    return told


def test_suite_on_the_simulated_asterisk(suite: Path) -> None:
    told = run(suite)

    assert "15 passed" in told, told


def test_suite_on_a_real_asterisk(suite: Path, asterisk_with_extensions: Asterisk) -> None:
    told = run(suite, asterisk=asterisk_with_extensions)

    assert "14 passed, 1 skipped" in told, told
    assert "nobody knows when all wait" in told


def test_examples_of_the_page_on_a_real_asterisk(
    tmp_path: Path, asterisk_with_extensions: Asterisk
) -> None:
    tests, conftest = shown("python")
    (tmp_path / "test_menu.py").write_text(tests)
    (tmp_path / "conftest.py").write_text(conftest)

    told = run(tmp_path, asterisk=asterisk_with_extensions)

    assert "3 passed, 1 skipped" in told, told


def test_asterisk_that_leads_no_call_into_stasis_is_told(
    suite: Path, asterisk_22: Asterisk
) -> None:
    told = run(suite, "-k", "prompt", asterisk=asterisk_22)

    assert "1 failed" in told, told
    assert "extension s of context ari-proxy-test has not led the call into Stasis" in told, told


def test_option_without_an_asterisk_is_refused(suite: Path) -> None:
    told = run(suite, "--ari-asterisk")

    assert "needs the environment variable ARI_TEST_ASTERISK" in told, told
