"""The balancer of the fault tests leaves no connection open."""

import asyncio
import contextlib
import socket

import pytest

from tests.support.balancer import Balancer


@pytest.mark.parametrize("steps", range(8))
async def test_connection_taken_at_the_end_is_closed(steps: int) -> None:
    """It comes when its task can't begin any more, or has not begun."""
    balancer = Balancer()
    async with balancer.running():
        with socket.create_connection(("127.0.0.1", balancer.port), timeout=5) as connection:
            for _ in range(steps):
                await asyncio.sleep(0)
            connection.setblocking(False)
            taken = connection.dup()
    with taken, contextlib.suppress(ConnectionResetError):
        async with asyncio.timeout(5):
            assert await asyncio.get_running_loop().sock_recv(taken, 1) == b""
