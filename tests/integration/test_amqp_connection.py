"""The AMQP connection on both event loops."""

import asyncio
from collections.abc import Callable

import pytest
import uvloop

from ari_proxy.bus.amqp.connection import AmqpConnection


@pytest.mark.parametrize("loop_factory", [asyncio.new_event_loop, uvloop.new_event_loop])
def test_nothing_is_written_to_a_connection_that_is_gone(
    loop_factory: Callable[[], asyncio.AbstractEventLoop],
) -> None:
    async def write_late() -> None:
        server = await asyncio.start_server(lambda _, writer: writer.close(), "127.0.0.1", 0)
        port = server.sockets[0].getsockname()[1]
        loop = asyncio.get_running_loop()
        async with server:
            _, connection = await loop.create_connection(AmqpConnection, "127.0.0.1", port)
            connection.abort()
            await asyncio.sleep(0.05)  # Until the loop has closed it.
            connection._write(b"late")

    with asyncio.Runner(loop_factory=loop_factory) as runner:
        runner.run(write_late())
