"""The examples of docs/testing-applications.md run as they stand there."""

import re
from pathlib import Path

from tests.support.own_pytest import run_pytest

PAGE = Path(__file__).parents[3] / "docs/testing-applications.md"


def test_examples_of_the_page_run(tmp_path: Path) -> None:
    tests, conftest = re.findall(r"```python\n(.*?)```", PAGE.read_text(), re.DOTALL)
    (tmp_path / "test_menu.py").write_text(tests)
    (tmp_path / "conftest.py").write_text(conftest)

    ended = run_pytest(tmp_path, "-o", "asyncio_mode=auto")

    assert "4 passed" in ended.stdout, ended.stdout + ended.stderr
