"""Ports for the servers that tests start."""

import atexit
import functools
import random
import socket
from collections import deque
from pathlib import Path

import pytest

#: The first of the ports that we use, and how many there should be below those that the kernel
#: hands out by itself.
_FIRST_PORT, _ENOUGH_PORTS = 10_000, 1_000

#: A process claims ports by the block: it binds the first of each and hands out the others.
_BLOCK = 100


class FreePorts:
    """Ports that no other process hands out while this one lives.

    All that two test runs have in common may be the machine's ports: one in a container or a chroot
    shares no file with the one beside it. So the claim to a block is a port that stays bound.
    """

    def __init__(self, ports: range) -> None:
        """Hand out some of `ports`, which all processes should agree on."""
        self._ports = ports
        self._claims: dict[int, socket.socket] = {}
        self._left: deque[int] = deque()

    def take(self, adjacent: int = 0) -> int:
        """Return a port that stays free until its server binds it, followed by adjacent free ones.

        It is handed out again only after all others.
        """
        for _ in range(2 * len(self._ports)):
            if len(self._left) <= adjacent:
                self._left.extend(self._claim())
            found = [self._left.popleft() for _ in range(adjacent + 1)]
            if found[-1] - found[0] == adjacent and all(map(_is_free, found)):
                return found[0]
        pytest.fail(f"no port is free among {self._ports}")

    def close(self) -> None:
        """Leave all ports to others."""
        for claim in self._claims.values():
            claim.close()

    def _claim(self) -> list[int]:
        """Claim a block that nobody has and return its ports, or our own again if there is none."""
        blocks = [first for first in self._ports[::_BLOCK] if first not in self._claims]
        for first in random.sample(blocks, len(blocks)):
            claim = socket.socket()
            try:
                claim.bind(("127.0.0.1", first))
            except OSError:
                claim.close()
            else:
                self._claims[first] = claim
                return self._others(first)
        return [port for first in self._claims for port in self._others(first)]

    def _others(self, first: int) -> list[int]:
        return [port for port in range(first + 1, first + _BLOCK) if port in self._ports]


def _port_range() -> range:
    """Return the ports for servers: outside the range of outgoing connections."""
    kernels = Path("/proc/sys/net/ipv4/ip_local_port_range")
    end = int(kernels.read_text().split()[0]) if kernels.exists() else 49_152
    return range(_FIRST_PORT, end if end >= _FIRST_PORT + _ENOUGH_PORTS else 60_000)


def _is_free(port: int) -> bool:
    with socket.socket() as tcp, socket.socket(type=socket.SOCK_DGRAM) as udp:
        try:
            tcp.bind(("127.0.0.1", port))
            udp.bind(("127.0.0.1", port))
        except OSError:
            return False
    return True


@functools.cache
def _free_ports() -> FreePorts:
    ports = FreePorts(_port_range())
    atexit.register(ports.close)
    return ports


def free_port(adjacent: int = 0) -> int:
    """Return a port for a server on 127.0.0.1, followed by `adjacent` free ones."""
    return _free_ports().take(adjacent)
