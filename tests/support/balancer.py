"""A TCP balancer, as a Service of Kubernetes: each connection goes to one of several ports."""

import asyncio
import contextlib
import random
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from tests.support.ports import free_port


class Balancer:
    """Forwards each connection to one of its targets, at random; a dead one refuses it."""

    def __init__(self, *targets: int) -> None:
        self.port = free_port()
        self.targets = [*targets]

    @asynccontextmanager
    async def running(self) -> AsyncIterator[None]:
        async with asyncio.TaskGroup() as tasks:
            accepted: set[asyncio.Task[None]] = set()

            def accept(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
                task = tasks.create_task(self._serve(reader, writer))
                accepted.add(task)
                task.add_done_callback(accepted.discard)

            server = await asyncio.start_server(accept, "127.0.0.1", self.port)
            try:
                yield
            finally:
                server.close()
                for task in accepted:
                    task.cancel()

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with contextlib.suppress(OSError, IndexError):  # IndexError: there is none.
            try:
                target = random.choice(self.targets)  # noqa: S311  no secret
                onward = await asyncio.open_connection("127.0.0.1", target)
                try:
                    async with asyncio.TaskGroup() as tasks:
                        tasks.create_task(_copy(reader, onward[1]))
                        tasks.create_task(_copy(onward[0], writer))
                finally:
                    onward[1].transport.abort()
            finally:
                writer.transport.abort()


async def _copy(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    with contextlib.suppress(OSError):
        while chunk := await reader.read(65536):
            writer.write(chunk)
            await writer.drain()
    writer.close()
