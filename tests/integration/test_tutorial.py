"""docs/tutorial.md, step by step, as it stands there; on free ports."""

import re
from pathlib import Path

import pytest

from tests.integration.test_readme import shell
from tests.support.own_pytest import run_pytest
from tests.support.ports import free_port
from tests.support.running import until

PAGE = (Path(__file__).parents[2] / "docs/tutorial.md").read_text()


def blocks(language: str) -> list[str]:
    return re.findall(rf"```{language}\n(.*?)```", PAGE, re.DOTALL)


@pytest.fixture
def directory(tmp_path: Path) -> Path:
    names = ("ivr.py", "conftest.py", "test_ivr.py")
    for name, text in zip(names, blocks("python"), strict=True):
        (tmp_path / name).write_text(text)
    return tmp_path


def test_tests_pass(directory: Path) -> None:
    (command,) = [text for text in blocks("sh") if text.startswith("pytest")]
    ended = run_pytest(directory, *command.split()[1:])

    assert "4 passed" in ended.stdout, ended.stdout + ended.stderr


async def test_call_is_served_without_a_bus(directory: Path) -> None:
    (text,) = [text for text in blocks("sh") if "curl" in text]
    text = text.replace("ari-proxy simulate &", "ari-proxy simulate --port 8088 &")
    port = str(free_port())
    ivr = directory / "ivr.py"
    ivr.write_text(ivr.read_text().replace("8088", port))

    with shell(text.replace("8088", port), directory) as output:
        await until(lambda: "customer 1234" in output.read_text())
