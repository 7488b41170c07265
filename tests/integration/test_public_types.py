"""The client library's types, as applications see them with its base install."""

import json
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.support.environments import ROOT, environment
from tests.support.programs import program

API = ROOT / "tests" / "typing" / "public_api.py"
#: What both must refuse: the types are there, and say something.
WRONG = """
from ari_proxy.client.ari import Ari
from ari_proxy.client.bus_at import bus_at


async def wrong(ari: Ari) -> None:
    await ari.channels.answer(1)
    bus_at("nats://h", name="n", cafile="ca.pem")
"""

pytestmark = pytest.mark.timeout(180)


@pytest.fixture(scope="module")
def python(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return environment(tmp_path_factory.mktemp("base"))


def mypy(python: Path, file: Path, directory: Path) -> "subprocess.CompletedProcess[str]":
    options = ["--strict", "--no-error-summary", "--config-file=", f"--python-executable={python}"]
    return subprocess.run(
        [sys.executable, "-m", "mypy", *options, f"--cache-dir={directory / 'cache'}", file],
        cwd=directory,
        capture_output=True,
        text=True,
        check=False,
    )


def pyright(python: Path, file: Path, directory: Path) -> "subprocess.CompletedProcess[str]":
    """Run it with the rules that pyright itself calls strict."""
    config = directory / "pyrightconfig.json"
    config.write_text(json.dumps({"include": [str(file)], "typeCheckingMode": "strict"}))
    return subprocess.run(
        [program("basedpyright"), "--project", config, "--pythonpath", python],
        cwd=directory,
        capture_output=True,
        text=True,
        check=False,
    )


CHECKERS = pytest.mark.parametrize("checker", [mypy, pyright])
Checker = Callable[[Path, Path, Path], "subprocess.CompletedProcess[str]"]


@CHECKERS
def test_public_api_has_the_types_that_it_is_used_with(
    checker: Checker, python: Path, tmp_path: Path
) -> None:
    done = checker(python, API, tmp_path)

    assert done.returncode == 0, done.stdout + done.stderr


@CHECKERS
def test_wrong_use_is_found(checker: Checker, python: Path, tmp_path: Path) -> None:
    file = tmp_path / "wrong.py"
    file.write_text(WRONG)

    done = checker(python, file, tmp_path)

    assert done.returncode == 1, done.stdout + done.stderr
    assert {line for line in (7, 8) if f"wrong.py:{line}" in done.stdout} == {7, 8}
