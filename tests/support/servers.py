"""Real servers on free ports: nats-server from its wheel, Asterisk from Debian's packages."""

import asyncio
import os
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
import urllib.error
import urllib.request
from collections.abc import AsyncIterator, Iterable, Iterator
from contextlib import asynccontextmanager, contextmanager
from pathlib import Path
from typing import ClassVar, Literal, Protocol, cast

import pytest

from tests.support.ports import free_port
from tests.support.programs import missing, program

HERE = Path(__file__).parent

#: Of the user `ari` at each Asterisk: a word that stands in no log by chance.
PASSWORD = "hush-a-bye-ari"


class BusServer(Protocol):
    """A bus, or a link to one, that can be stopped and restarted on its port."""

    kind: Literal["NATS", "RABBITMQ"]

    @property
    def url(self) -> str: ...

    def start(self) -> None: ...

    def stop(self) -> None: ...


class NatsServer:
    """A nats-server that can be stopped, killed and restarted on its port."""

    kind: Literal["NATS", "RABBITMQ"] = "NATS"

    def __init__(self, *options: str) -> None:
        self._options = options
        self._binary = program("nats-server")
        self.port = free_port()
        self.url = f"nats://127.0.0.1:{self.port}"
        self._process: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        self._process = subprocess.Popen(
            [self._binary, "-a", "127.0.0.1", "-p", str(self.port), *self._options],
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

    def reload(self) -> None:
        """Reload its configuration; connections stay."""
        self._signal(signal.SIGHUP)

    def leave(self) -> None:
        """Have it go into lame duck mode: it ends once it has no clients any more."""
        self._signal(signal.SIGUSR2)

    def terminate(self) -> None:
        """Have it end at once, in order."""
        self._signal(signal.SIGTERM)

    @property
    def has_ended(self) -> bool:
        return self._process is None or self._process.poll() is not None

    def _signal(self, number: signal.Signals) -> None:
        if self._process is not None:
            self._process.send_signal(number)

    def stop(self) -> None:
        if self._process is not None:
            self._process.kill()
            self._process.wait()
            self._process = None


class NatsCluster:
    """A cluster of nats-servers."""

    kind: Literal["NATS", "RABBITMQ"] = "NATS"

    def __init__(self, size: int, *options: str) -> None:
        ports = [free_port() for _ in range(size)]
        routes = ",".join(f"nats://127.0.0.1:{port}" for port in ports)
        self.servers = [
            NatsServer("--cluster_name", "test", "--cluster", route, "--routes", routes, *options)
            for route in routes.split(",")
        ]

    @property
    def urls(self) -> list[str]:
        return [server.url for server in self.servers]

    def start(self) -> None:
        for server in self.servers:
            server.start()

    def stop(self) -> None:
        for server in self.servers:
            server.stop()


class _SipPeer(asyncio.DatagramProtocol):
    """Answers each request with 200 (RFC 3261 §8.2.6)."""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast("asyncio.DatagramTransport", transport)

    def datagram_received(self, data: bytes, address: tuple[str, int]) -> None:
        copied = ("Via:", "From:", "To:", "Call-ID:", "CSeq:")
        lines = [line for line in data.decode().split("\r\n") if line.startswith(copied)]
        lines = [f"{line};tag=peer" if line.startswith("To:") else line for line in lines]
        answer = "\r\n".join(["SIP/2.0 200 OK", *lines, "Content-Length: 0", "", ""])
        self._transport.sendto(answer.encode(), address)


class AsteriskCrashedError(Exception):
    """An Asterisk has ended by a signal that no test sent: what the test saw says nothing of us."""


class Asterisk:
    """A private Asterisk with the users, extensions and modules of `asterisk_up.py`."""

    #: Those that run, or ought to.
    _started: ClassVar[set["Asterisk"]] = set()

    @classmethod
    def crashed(cls) -> list[str]:
        """Return the signals by which Asterisks have ended that no test has ended."""
        codes = [one._ended() for one in cls._started if one._process is not None]
        return [signal.Signals(-code).name for code in codes if code < 0]

    def _ended(self) -> int:
        """Return its exit code, or 0 if it runs; its connections end some time before it does."""
        assert self._process is not None
        try:
            return self._process.wait(0.2)
        except subprocess.TimeoutExpired:
            return 0

    def __init__(self, version: str, *, sip: bool = False, extra: Path | None = None) -> None:
        self.version = version
        self._files: list[str] = []
        #: With one above it for its peer.
        self._sip_port = free_port(adjacent=1) if sip else 0
        #: Text behind that of the configuration file of the same name.
        self._extra = ["--extra", str(extra)] if extra else []
        self.port = free_port()
        self.url = f"http://127.0.0.1:{self.port}/ari"
        self.websocket_url = f"ws://127.0.0.1:{self.port}/ari/events"
        self._directory = tempfile.mkdtemp(prefix="asterisk-")
        self._process: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        launcher = [sys.executable, str(HERE / "asterisk_up.py"), self.version]
        if not self._root.exists():
            missing(f"asterisk {self.version}", "make asterisk")
        sip = ["--sip", str(self._sip_port), "--rtp", str(free_port())] if self._sip_port else []
        self._process = subprocess.Popen(
            [*launcher, *self._where, "--password", PASSWORD, *sip, *self._files, *self._extra],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )
        self._started.add(self)
        deadline = time.monotonic() + 30
        while time.monotonic() < deadline:
            if self._answers():
                return
            time.sleep(0.05)
        pytest.fail(f"Asterisk {self.version} did not start")

    def replace(self, files: Iterable[Path]) -> None:
        """Start with these configuration files instead of those of the same names."""
        self._files = ["--replace", *map(str, files)]

    def configure(self, file: str, replaced: dict[str, str]) -> None:
        """Replace texts in a configuration file; a reload of its module makes it valid."""
        path = Path(self._directory, "etc", file)
        content = path.read_text()
        for former, new in replaced.items():
            content = content.replace(former, new)
        path.write_text(content)

    @property
    def sip_address(self) -> str:
        """Where it listens to phones."""
        return f"127.0.0.1:{self._sip_port}"

    @property
    def log(self) -> Path:
        """What it warns of."""
        return Path(self._directory, "log", "messages")

    @property
    def _root(self) -> Path:
        cache = os.environ.get("ASTERISK_ROOTFS_DIR") or Path.home() / ".cache" / "asterisk-up"
        return Path(cache) / f"rootfs-{self.version}"

    @contextmanager
    def sip_call(self, scenario: str, extension: str) -> Iterator[None]:
        """Call an extension with sipp and a scenario of this folder."""
        libraries = self._root / "usr/lib/x86_64-linux-gnu"
        loaders = self._root.glob("**/ld-linux-x86-64.so.2")
        loader = str(next(path for path in loaders if path.exists()))  # Some are links to /lib.
        local = ["-i", "127.0.0.1", "-p", str(self._sip_port + 1), "-mi", "127.0.0.1"]
        calls = ["-nostdin", "-m", "1", "-sf", str(HERE / scenario), "-s", extension]
        path = ["--library-path", f"{libraries}:{self._root / 'lib/x86_64-linux-gnu'}"]
        peer = f"127.0.0.1:{self._sip_port}"
        process = subprocess.Popen(
            [loader, *path, str(self._root / "usr/bin/sipp"), *local, *calls, peer],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            cwd=self._directory,
        )
        try:
            yield
        finally:
            process.kill()
            process.wait()

    @asynccontextmanager
    async def reachable_peer(self) -> AsyncIterator[None]:
        """Answer the OPTIONS that Asterisk qualifies its SIP peer with, around a block."""
        loop = asyncio.get_running_loop()
        address = ("127.0.0.1", self._sip_port + 1)
        transport, _ = await loop.create_datagram_endpoint(_SipPeer, local_addr=address)
        try:
            yield
        finally:
            transport.close()

    @property
    def _where(self) -> tuple[str, ...]:
        return ("--dir", self._directory, "--http", str(self.port))

    def _answers(self) -> bool:
        try:
            address = f"{self.url}/asterisk/ping?api_key=ari:{PASSWORD}"
            with urllib.request.urlopen(address, timeout=2) as answer:  # noqa: S310  http
                return bool(answer.status == 200)
        except (urllib.error.URLError, OSError):
            return False

    def terminate(self) -> None:
        """Terminate it with SIGTERM and wait until it exits."""
        if self._process is not None:
            self._process.terminate()
            self._process.wait(10)
            self._process = None

    def stop(self) -> None:
        if self._process is not None:
            self._process.kill()
            self._process.wait()
            self._process = None

    def remove(self) -> None:
        self.stop()
        self._started.discard(self)
        shutil.rmtree(self._directory, ignore_errors=True)
