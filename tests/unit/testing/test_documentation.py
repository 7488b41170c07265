"""The examples of docs/testing-applications.md run as they stand there."""

import re
import subprocess
import sys
from pathlib import Path

PAGE = Path(__file__).parents[3] / "docs/testing-applications.md"


def test_examples_of_the_page_run(tmp_path: Path) -> None:
    tests, conftest = re.findall(r"```python\n(.*?)```", PAGE.read_text(), re.DOTALL)
    (tmp_path / "test_menu.py").write_text(tests)
    (tmp_path / "conftest.py").write_text(conftest)

    options = ["-q", "-p", "no:cacheprovider", "-o", "asyncio_mode=auto", f"--rootdir={tmp_path}"]
    ended = subprocess.run(
        [sys.executable, "-m", "pytest", *options, tmp_path],
        capture_output=True,
        text=True,
        check=False,
        cwd=tmp_path,
    )

    assert "4 passed" in ended.stdout, ended.stdout + ended.stderr
