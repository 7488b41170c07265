"""How the servers of tests that run at the same time keep out of each other's way."""

import multiprocessing
import os
import socket
from collections.abc import Iterator
from concurrent.futures import ProcessPoolExecutor
from contextlib import ExitStack, closing, contextmanager
from pathlib import Path

import pytest

from tests.support.ports import FreePorts, free_port

PROCESSES, EACH = 4, 150

#: Few enough that processes that did not know of each other would take the same.
PORTS = range(61_000, 62_000)

#: A block of two.
THREE = range(62_300, 62_303)

#: What this process claims until it ends.
_held: list[FreePorts] = []


def _take(ports: range, count: int) -> list[int]:
    _held.append(FreePorts(ports))
    return [_held[-1].take() for _ in range(count)]


@contextmanager
def _process_with_its_own(folder: Path) -> Iterator[ProcessPoolExecutor]:
    """Run a process that shares no temporary folder with the others, like one in a chroot."""
    folder.mkdir()
    spawn = multiprocessing.get_context("spawn")
    with ProcessPoolExecutor(1, spawn, os.putenv, ("TMPDIR", str(folder))) as process:
        yield process


def test_processes_get_different_ports(tmp_path: Path) -> None:
    with ExitStack() as stack:
        folders = [tmp_path / str(number) for number in range(PROCESSES)]
        processes = [stack.enter_context(_process_with_its_own(folder)) for folder in folders]
        answers = [process.submit(_take, PORTS, EACH) for process in processes]
        found = [port for answer in answers for port in answer.result()]

    assert len(set(found)) == PROCESSES * EACH


def test_port_comes_again_only_after_all_others() -> None:
    with closing(FreePorts(range(62_000, 62_250))) as ports:
        found = [ports.take() for _ in range(247)]

        assert len(set(found)) == 247
        assert ports.take() in found


def test_adjacent_ports_are_free_for_both_protocols() -> None:
    first = free_port(adjacent=1)

    for port in (first, first + 1):
        with socket.socket() as tcp, socket.socket(type=socket.SOCK_DGRAM) as udp:
            tcp.bind(("127.0.0.1", port))
            udp.bind(("127.0.0.1", port))


def test_port_in_use_is_left_out() -> None:
    with socket.create_server(("127.0.0.1", 62_301)), closing(FreePorts(THREE)) as ports:
        assert {ports.take() for _ in range(4)} == {62_302}


def test_all_ports_in_use_are_told() -> None:
    with ExitStack() as stack:
        ports = stack.enter_context(closing(FreePorts(THREE)))
        for port in THREE[1:]:
            stack.enter_context(socket.create_server(("127.0.0.1", port)))

        with pytest.raises(pytest.fail.Exception, match="no port is free"):
            ports.take()
