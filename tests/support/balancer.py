"""A TCP balancer, as a Service of Kubernetes: each connection goes to one of several ports."""

import asyncio
import contextlib
import random
import socket
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from functools import partial
from typing import Any

from ari_proxy.accepting import Acceptor
from tests.support.ports import free_port

#: Of one connection.
Streams = tuple[asyncio.StreamReader, asyncio.StreamWriter]


class Balancer:
    """Forwards each connection to one of its targets, at random; a dead one refuses it."""

    def __init__(self, *targets: int) -> None:
        self.port = free_port()
        self.targets = [*targets]

    @asynccontextmanager
    async def running(self) -> AsyncIterator[None]:
        with socket.create_server(("127.0.0.1", self.port)) as listener:
            listener.setblocking(False)
            async with asyncio.TaskGroup() as tasks:
                accepting = tasks.create_task(self._accept(listener))
                try:
                    yield
                finally:
                    accepting.cancel()

    async def _accept(self, listener: socket.socket) -> None:
        """Serve connections until cancelled: asyncio's own server loses one that is half taken."""
        acceptor = Acceptor(lambda: None, lambda *_: None)
        async with asyncio.TaskGroup() as tasks:

            def take(connection: socket.socket, _: str) -> None:
                task = tasks.create_task(self._serve(connection))
                # A task that is cancelled before it has begun closes nothing itself.
                task.add_done_callback(partial(_close, connection))

            await acceptor.run(listener, take)

    async def _serve(self, connection: socket.socket) -> None:
        with contextlib.suppress(OSError, IndexError):  # IndexError: there is none.
            target = random.choice(self.targets)  # noqa: S311  no secret
            async with (
                _streams(sock=connection) as here,
                _streams("127.0.0.1", target) as there,
                asyncio.TaskGroup() as tasks,
            ):
                tasks.create_task(_copy(here[0], there[1]))
                tasks.create_task(_copy(there[0], here[1]))


def _close(connection: socket.socket, _: object) -> None:
    connection.close()


@asynccontextmanager
async def _streams(*address: Any, **options: Any) -> AsyncIterator[Streams]:
    reader, writer = await asyncio.open_connection(*address, **options)
    try:
        yield reader, writer
    finally:
        writer.transport.abort()


async def _copy(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    with contextlib.suppress(OSError):
        while chunk := await reader.read(65536):
            writer.write(chunk)
            await writer.drain()
    writer.close()
