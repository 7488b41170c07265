"""pytest as an application's author runs it, within a test."""

import os
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path

#: What this run of pytest was given concerns no other.
_OURS = ("PYTEST_ADDOPTS", "PYTEST_PLUGINS")


def run_pytest(
    directory: Path, *arguments: str | Path, variables: Mapping[str, str] | None = None
) -> "subprocess.CompletedProcess[str]":
    """Run pytest in a folder, which is all that it knows.

    Args:
        directory: has the tests.
        arguments: more options.
        variables: more of the environment.
    """
    environment = {name: value for name, value in os.environ.items() if name not in _OURS}
    options = ["-p", "no:cacheprovider", f"--rootdir={directory}"]
    return subprocess.run(
        [sys.executable, "-m", "pytest", *options, *arguments, directory],
        capture_output=True,
        text=True,
        check=False,
        cwd=directory,
        env=environment | {"PYTHONPATH": str(directory), **(variables or {})},
    )
