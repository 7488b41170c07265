"""How the servers of tests that run at the same time keep out of each other's way."""

import multiprocessing
import socket

from tests.support.servers import free_port

PROCESSES, EACH = 4, 200


def _ports(count: int) -> list[int]:
    return [free_port() for _ in range(count)]


def test_processes_get_different_ports() -> None:
    with multiprocessing.get_context("spawn").Pool(PROCESSES) as pool:
        found = [port for ports in pool.map(_ports, [EACH] * PROCESSES) for port in ports]

    assert len(set(found)) == PROCESSES * EACH


def test_adjacent_ports_are_free_for_both_protocols() -> None:
    first = free_port(adjacent=1)

    for port in (first, first + 1):
        with socket.socket() as tcp, socket.socket(type=socket.SOCK_DGRAM) as udp:
            tcp.bind(("127.0.0.1", port))
            udp.bind(("127.0.0.1", port))


def test_port_in_use_is_left_out() -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        used = taken.getsockname()[1]
        free = free_port()

        assert {free_port(ports=(used, free)) for _ in range(4)} == {free}
