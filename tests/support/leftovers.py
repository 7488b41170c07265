"""Ends all processes of a test run with it, however it ends."""

import atexit
import contextlib
import os
import secrets
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Final

#: Whose environment has this with the same value was started by the same process of a test run, or
#: by what that started: a server's children, too, and what made itself a session of its own.
_MARK: Final = "STARTED_BY_TESTS"
_PROCESSES: Final = Path("/proc")
#: One that hangs in the kernel ends later, or never.
_END_SECONDS: Final = 10


def end_with_this_process() -> None:
    """End all later child processes with this process, even if it is killed with SIGKILL.

    Linux only. Fixtures end their processes first; this is for a run that was killed.
    """
    if not (_PROCESSES / "self" / "environ").exists():
        return
    mark = secrets.token_hex(8)
    others = {name: value for name, value in os.environ.items() if name != _MARK}
    watcher = subprocess.Popen(
        [sys.executable, "-I", "-S", __file__, f"{_MARK}={mark}"],
        stdin=subprocess.PIPE,  # Its other end closes with this process.
        env=others,
        start_new_session=True,  # What ends the group of this process leaves it alone.
    )
    os.environ[_MARK] = mark
    atexit.register(watcher.communicate)


def _end_all(mark: bytes) -> None:
    """Kill processes until none is left that could start more."""
    deadline = time.monotonic() + _END_SECONDS
    while time.monotonic() < deadline and (found := list(_marked(mark))):
        for pid in found:
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
        time.sleep(0.01)


def _marked(mark: bytes) -> Iterator[int]:
    for directory in _PROCESSES.glob("[0-9]*"):
        try:
            environment = (directory / "environ").read_bytes()
        except OSError:  # It has ended, or is another user's.
            continue
        if mark in environment.split(b"\0"):
            yield int(directory.name)


if __name__ == "__main__":
    sys.stdin.buffer.read()
    _end_all(os.fsencode(sys.argv[1]))
