"""What becomes of processes when the tests that started them are killed."""

import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from tests.support.running import until

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="end_with_this_process is Linux's")

#: Leaves its parent and its session, as Erlang's port mapper does; tells its pid.
DAEMON = """
import os, time
if not os.fork():
    os.setsid()
    print(os.getpid(), flush=True)
    time.sleep(60)
"""
TESTS = f"""
import subprocess, sys
from tests.support.leftovers import end_with_this_process
end_with_this_process()
subprocess.run([sys.executable, "-c", {DAEMON!r}])
sys.stdin.read()
"""


@contextmanager
def run_with_a_daemon() -> Iterator[tuple["subprocess.Popen[str]", int]]:
    with subprocess.Popen(
        [sys.executable, "-c", TESTS], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as run:
        assert run.stdout is not None
        yield run, int(run.stdout.readline())


def is_running(pid: int) -> bool:
    """Tell whether a process lives: what has ended may stay in the table as a zombie."""
    try:
        fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    except (FileNotFoundError, ProcessLookupError):  # It may end between open and read.
        return False
    return fields[0] != "Z"


@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGTERM])
async def test_daemon_ends_with_the_tests_that_were_killed(number: signal.Signals) -> None:
    with run_with_a_daemon() as (run, daemon):
        assert is_running(daemon)
        run.send_signal(number)

        await until(lambda: not is_running(daemon))


def test_daemon_has_ended_when_the_tests_have() -> None:
    with run_with_a_daemon() as (run, daemon):
        run.communicate()

        assert not is_running(daemon)


async def test_daemon_of_another_run_lives() -> None:
    with run_with_a_daemon() as (killed, daemon), run_with_a_daemon() as (_, other):
        killed.kill()
        await until(lambda: not is_running(daemon))

        assert is_running(other)
