"""How the tests find the programs of others."""

import asyncio
import subprocess
import sys
from pathlib import Path

import pytest
from _pytest.outcomes import Failed, Skipped

from tests.support import programs
from tests.support.programs import UncheckedProgramError, program


def test_program_of_a_wheel_is_found_on_no_path(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", "")

    found = program("nats-server")

    assert Path(found).parent == Path(sys.executable).parent


@pytest.mark.parametrize("name", programs.SOURCES)
def test_missing_program_is_skipped_with_what_brings_it(
    name: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("PATH", "")
    monkeypatch.delenv("ARI_PROXY_REQUIRE", raising=False)

    with pytest.raises(Skipped, match=programs.SOURCES[name].command):
        program(name, beside=tmp_path)


@pytest.mark.parametrize("name", programs.SOURCES)
def test_missing_program_that_is_required_fails(
    name: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("PATH", "")
    monkeypatch.setenv("ARI_PROXY_REQUIRE", f"asterisk,{programs.SOURCES[name].name}")

    with pytest.raises(Failed, match=programs.SOURCES[name].command):
        program(name, beside=tmp_path)


async def test_program_that_nobody_looked_for_is_refused() -> None:
    with pytest.raises(UncheckedProgramError, match="run helm"):
        subprocess.run(["helm", "version"], check=True)
    with pytest.raises(UncheckedProgramError, match="run helm"):
        await asyncio.create_subprocess_exec("helm", "version")
    with pytest.raises(UncheckedProgramError, match="run helm"):
        await asyncio.to_thread(subprocess.Popen, ["helm", "version"])
