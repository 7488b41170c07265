"""The AMQP connection on both event loops."""

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager

import pytest
import uvloop
from pamqp.commands import Queue

from ari_proxy.bus.amqp.connection import CHANNELS, AmqpConnection, Login
from ari_proxy.bus.amqp.errors import AmqpError, ConnectionLostError
from tests.support.rabbitmq import RabbitMqServer


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


@asynccontextmanager
async def connected(server: RabbitMqServer) -> AsyncIterator[AmqpConnection]:
    login = Login(host="127.0.0.1", port=server.port, user="guest", password="guest")
    connection = await AmqpConnection.connect(login)
    try:
        yield connection
    finally:
        await connection.close()


async def test_channel_beyond_the_last_number_is_an_error_and_costs_nothing(
    rabbitmq_server: RabbitMqServer,
) -> None:
    async with connected(rabbitmq_server) as connection:
        with pytest.raises(AmqpError, match=f"{CHANNELS} channels") as caught:
            await connection.open_channels(CHANNELS + 1)
        channels = await connection.open_channels(CHANNELS)
        for channel in channels:
            await connection.release(channel)
        await connection.open_channels(CHANNELS)

        assert not isinstance(caught.value, ConnectionLostError)
        assert not connection.lost.done()


async def test_connection_has_as_many_channels_as_rabbitmq_allows(
    rabbitmq_server: RabbitMqServer,
) -> None:
    allow = "application:set_env(rabbit, channel_max, {})."
    await asyncio.to_thread(rabbitmq_server.control, "eval", allow.format(5))
    try:
        async with connected(rabbitmq_server) as connection:
            with pytest.raises(AmqpError, match="5 channels"):
                await connection.open_channels(6)
            await connection.open_channels(5)

            assert not connection.lost.done()
    finally:
        await asyncio.to_thread(rabbitmq_server.control, "eval", allow.format(2047))


@pytest.mark.parametrize("steps", range(6))
async def test_opening_and_releasing_may_be_cancelled_at_any_moment(
    rabbitmq_server: RabbitMqServer, steps: int
) -> None:
    """No number is lost by that, and none is used twice."""

    async def open_and_release(connection: AmqpConnection) -> None:
        await connection.release(await connection.channel())

    async with connected(rabbitmq_server) as connection:
        for _ in range(2 * CHANNELS):
            task = asyncio.create_task(open_and_release(connection))
            for _ in range(steps):
                await asyncio.sleep(0)
            task.cancel()
            await asyncio.wait([task])
            other = await connection.channel()
            await other.call(Queue.Declare(queue="", exclusive=True), Queue.DeclareOk)
            await connection.release(other)
        await connection.open_channels(CHANNELS)

        assert not connection.lost.done()
