"""The plug-in of pytest, as pytest loads it."""

import subprocess
import sys
import tomllib
from pathlib import Path

from tests.support.own_pytest import run_pytest

ROOT = Path(__file__).parents[2]
TEST = """
import pytest

@pytest.mark.asyncio
async def test_call(ari_call):
    async def hang_up(call):
        await call.ari.channels.hangup(call.channel_id)

    async with ari_call(hang_up) as phone:
        await phone.expect_hung_up()
"""
HEAVY = {"aiohttp", "asyncio", "msgspec", "pydantic"}


def python(*arguments: str | Path, cwd: Path) -> str:
    ended = subprocess.run(
        [sys.executable, *arguments], capture_output=True, text=True, check=False, cwd=cwd
    )
    assert ended.returncode == 0, ended.stdout + ended.stderr
    return ended.stdout


def test_plug_in_is_declared() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]

    # Of one name: else pytest would refuse `-p ari_proxy.pytest_plugin` beside it.
    assert project["entry-points"]["pytest11"] == {
        "ari_proxy.pytest_plugin": "ari_proxy.pytest_plugin"
    }


def test_plug_in_imports_nothing_heavy(tmp_path: Path) -> None:
    code = "import pytest, sys; before = set(sys.modules); import ari_proxy.pytest_plugin; "
    code += "print(*(set(sys.modules) - before))"
    imported = python("-c", code, cwd=tmp_path).split()

    assert "ari_proxy.pytest_plugin" in imported
    assert not HEAVY & {name.partition(".")[0] for name in imported}


def test_fixture_runs_a_call(tmp_path: Path) -> None:
    (tmp_path / "test_call.py").write_text(TEST)

    ended = run_pytest(tmp_path, "-p", "ari_proxy.pytest_plugin")

    assert "1 passed" in ended.stdout, ended.stdout + ended.stderr
