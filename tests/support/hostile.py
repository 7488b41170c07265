"""Peers that open many connections and mean no good, and what they cost a process."""

import asyncio
import contextlib
import itertools
import re
import resource
import socket
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Final, Self

#: Left for everybody else in this process.
_SPARE: Final = 500
#: That connect at the same time.
_WORKERS: Final = 64
_HEAD: Final = b"GET /server-1/events HTTP/1.1\r\nHost: x\r\n"
_UPGRADE: Final = (
    b"Upgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Version: 13\r\n"
    b"Sec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA==\r\n"
)
#: What they say first; all of them keep their connection open.
SAID: Final = {
    "nothing": b"",
    "half a request": _HEAD,
    "garbage": b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03 is no HTTP\r\n\r\n",
    "an endless request": _HEAD + b"X-Long: xxxxxxxxx\r\n" * 2000,
    "no credentials": _HEAD + _UPGRADE + b"\r\n",
    "wrong credentials": _HEAD + _UPGRADE + b"Authorization: Basic YXJpOmd1ZXNzZWQ=\r\n\r\n",
    "a frame at once": _HEAD + _UPGRADE + b"\r\n\xff\xff\xff\xff",
}


@contextmanager
def as_many_descriptors_as_allowed() -> Iterator[int]:
    """Raise this process's limit of descriptors around a block; yields how many a test may use."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
    try:
        yield max(hard - _SPARE, _WORKERS)
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))


class HostilePeers:
    """Connections to a port of this machine, with each kind of beginning in turn.

    As a context it closes them.
    """

    def __init__(self, port: int) -> None:
        self._port = port
        self._said = itertools.cycle(SAID.values())
        self._open: list[socket.socket] = []
        #: Connections that were made.
        self.made = 0

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.leave()

    async def connect(self, count: int) -> None:
        """Open connections and keep them."""
        numbers = iter(range(count))
        async with asyncio.TaskGroup() as tasks:
            for _ in range(_WORKERS):
                tasks.create_task(self._connect_some(numbers))

    async def _connect_some(self, numbers: Iterator[int]) -> None:
        loop = asyncio.get_running_loop()
        for _ in numbers:
            peer = socket.socket()
            peer.setblocking(False)
            self._open.append(peer)
            with contextlib.suppress(ConnectionError):
                await loop.sock_connect(peer, ("127.0.0.1", self._port))
                self.made += 1
                peer.send(next(self._said))

    def speak_slowly(self) -> None:
        """Say one more byte on each connection, if somebody still hears it."""
        for peer in self._open:
            with contextlib.suppress(OSError):
                peer.send(b"x")

    def leave(self) -> None:
        """Close all connections."""
        while self._open:
            self._open.pop().close()


def descriptors(pid: int) -> int:
    """Return how many descriptors a process has open."""
    return len(list(Path(f"/proc/{pid}/fd").iterdir()))


def limit_descriptors(pid: int, limit: int) -> None:
    """Set how many a process may have open."""
    _, hard = resource.prlimit(pid, resource.RLIMIT_NOFILE)
    resource.prlimit(pid, resource.RLIMIT_NOFILE, (limit, hard))


def resident_bytes(pid: int) -> int:
    """Return the most memory that a process has had (Linux's VmHWM)."""
    status = Path(f"/proc/{pid}/status").read_text()
    match = re.search(r"VmHWM:\s+(\d+) kB", status)
    assert match is not None
    return int(match[1]) * 1024
