"""A TCP proxy on 127.0.0.1 that does to a connection what networks do."""

import asyncio
import contextlib
import threading
from collections.abc import Coroutine
from typing import Literal

from tests.support.servers import free_port


class Link:
    """Forwards to a port of this machine, in a thread of its own; it can be cut and mended.

    It stands in the place of the bus that it leads to, so that a test can stop and start it.
    """

    def __init__(self, target_port: int, *, kind: Literal["NATS", "RABBITMQ"] = "RABBITMQ") -> None:
        self.kind = kind
        self._target = target_port
        self.port = free_port()
        #: Seconds by which all that passes is late.
        self.delay_seconds = 0.0
        #: Accepted until now.
        self.connections = 0
        self._loop = asyncio.new_event_loop()
        self._flowing = asyncio.Event()
        self._flowing.set()
        self._thread = threading.Thread(target=self._loop.run_forever, daemon=True)
        self._thread.start()
        self._server: asyncio.Server | None = None

    @property
    def url(self) -> str:
        scheme = {"NATS": "nats", "RABBITMQ": "amqp"}[self.kind]
        return f"{scheme}://127.0.0.1:{self.port}"

    def _do(self, work: Coroutine[None, None, None]) -> None:
        asyncio.run_coroutine_threadsafe(work, self._loop).result(10)

    def start(self) -> None:
        self._do(self._start())

    def stop(self) -> None:
        """End all connections, and refuse new ones."""
        self._do(self._stop())

    def freeze(self) -> None:
        """Let nothing pass, with all connections open: a half-open connection."""
        self._loop.call_soon_threadsafe(self._flowing.clear)

    def thaw(self) -> None:
        """Let pass what has waited."""
        self._loop.call_soon_threadsafe(self._flowing.set)

    def remove(self) -> None:
        self.thaw()
        self.stop()
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join(10)
        self._loop.close()

    async def _start(self) -> None:
        self._server = await asyncio.start_server(self._accept, "127.0.0.1", self.port)

    async def _stop(self) -> None:
        server, self._server = self._server, None
        if server is not None:
            server.close()
        # Also those that were accepted a moment ago and have not begun.
        await asyncio.sleep(0)
        while connections := asyncio.all_tasks() - {asyncio.current_task()}:
            for connection in connections:
                connection.cancel()
            await asyncio.gather(*connections, return_exceptions=True)

    async def _accept(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.connections += 1
        # Cut while it is being accepted: asyncio would log the cancellation of a connection's task.
        with contextlib.suppress(OSError, asyncio.CancelledError):
            try:
                onward = await asyncio.open_connection("127.0.0.1", self._target)
                try:
                    async with asyncio.TaskGroup() as tasks:
                        tasks.create_task(self._copy(reader, onward[1]))
                        tasks.create_task(self._copy(onward[0], writer))
                finally:
                    await _abort(onward[1])
            finally:
                await _abort(writer)

    async def _copy(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with contextlib.suppress(OSError):
            while chunk := await reader.read(65536):
                await self._flowing.wait()
                if self.delay_seconds:
                    await asyncio.sleep(self.delay_seconds)
                writer.write(chunk)
                await writer.drain()
        writer.transport.abort()


async def _abort(writer: asyncio.StreamWriter) -> None:
    writer.transport.abort()
    with contextlib.suppress(OSError):
        await writer.wait_closed()
