"""A TCP proxy on 127.0.0.1 that simulates network faults."""

import asyncio
import contextlib
import socket
import threading
from collections.abc import Coroutine
from functools import partial
from typing import Literal

from tests.support.ports import free_port


class Link:
    """Forwards to a local port in its own thread; a test can cut and restore it.

    It stands in for a bus, so that a test can stop and start that.
    """

    def __init__(self, target_port: int, *, kind: Literal["NATS", "RABBITMQ"] = "RABBITMQ") -> None:
        self.kind = kind
        self._target = target_port
        self.port = free_port()
        #: Seconds by which all that passes is late.
        self.delay_seconds = 0.0
        #: Bytes a second that the target's answers may have; 0 for any number.
        self.answer_rate = 0.0
        #: Accepted until now.
        self.connections = 0
        self._loop = asyncio.new_event_loop()
        self._flowing = asyncio.Event()
        self._flowing.set()
        self._thread = threading.Thread(target=self._loop.run_forever, daemon=True)
        self._thread.start()
        self._listening: socket.socket | None = None
        self._serving: set[asyncio.Task[None]] = set()
        self._is_lingering = False
        #: Bytes from which on one direction is lost, and which.
        self._marker: tuple[bytes, Literal["sent", "answers"]] | None = None
        #: The direction that is lost.
        self._losing: Literal["sent", "answers", ""] = ""
        #: Ways to the target whose near end is over.
        self._lingering: list[asyncio.StreamWriter] = []

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

    def overlap(self) -> None:
        """End all connections; the target learns of it with the first bytes of the next one.

        What the target sends before that is lost.
        """
        self._do(self._overlap())

    def freeze(self) -> None:
        """Stop all traffic but keep connections open, as with a half-open connection."""
        self._loop.call_soon_threadsafe(self._flowing.clear)

    def thaw(self) -> None:
        """Resume traffic, starting with what was held."""
        self._loop.call_soon_threadsafe(self._flowing.set)

    def lose_from(self, marker: bytes, direction: Literal["sent", "answers"]) -> None:
        """Lose what passes, once the near end has sent certain bytes, until the link is stopped.

        Args:
            marker: these bytes.
            direction: whether what is sent is lost, with them, or what the target says then.
        """
        self._marker = (marker, direction)

    @property
    def is_losing(self) -> bool:
        """True once something was lost."""
        return bool(self._losing)

    def remove(self) -> None:
        self.thaw()
        self.stop()
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join(10)
        self._loop.close()

    async def _start(self) -> None:
        listening = self._listening = socket.create_server(("127.0.0.1", self.port), backlog=100)
        listening.setblocking(False)
        # Not asyncio's server: what it has accepted and not begun is lost, open, in a cancellation.
        self._loop.add_reader(listening, self._accept, listening)

    async def _stop(self) -> None:
        listening, self._listening = self._listening, None
        if listening is not None:
            self._loop.remove_reader(listening)
            listening.close()
        await self._end_all()
        await self._end_lingering()
        self._losing = ""

    async def _overlap(self) -> None:
        self._is_lingering = True
        await self._end_all()
        self._is_lingering = False

    async def _end_lingering(self) -> None:
        while self._lingering:
            await _abort(self._lingering.pop())

    async def _end_all(self) -> None:
        ending = tuple(self._serving)
        for serving in ending:
            serving.cancel()
        await asyncio.gather(*ending, return_exceptions=True)

    def _accept(self, listening: socket.socket) -> None:
        with contextlib.suppress(BlockingIOError, ConnectionAbortedError):
            connection, _ = listening.accept()
            connection.setblocking(False)
            self.connections += 1
            serving = self._loop.create_task(self._serve(connection))
            self._serving.add(serving)
            serving.add_done_callback(partial(self._close, connection))

    def _close(self, connection: socket.socket, serving: asyncio.Task[None]) -> None:
        """Forget a connection; one that its task has not taken is closed by nobody else."""
        self._serving.discard(serving)
        connection.close()

    async def _serve(self, connection: socket.socket) -> None:
        with contextlib.suppress(OSError):
            reader, writer = await asyncio.open_connection(sock=connection)
            try:
                onward = await asyncio.open_connection("127.0.0.1", self._target)
                try:
                    async with asyncio.TaskGroup() as tasks:
                        tasks.create_task(self._copy(reader, onward[1], "sent"))
                        tasks.create_task(self._copy(onward[0], writer, "answers"))
                finally:
                    if self._is_lingering:
                        self._lingering.append(onward[1])
                    else:
                        await _abort(onward[1])
            finally:
                await _abort(writer)

    def _is_lost(self, chunk: bytes, direction: Literal["sent", "answers"]) -> bool:
        if self._marker and direction == "sent" and self._marker[0] in chunk:
            _, self._losing = self._marker
            self._marker = None
        return self._losing == direction

    def _chunk_bytes(self, direction: Literal["sent", "answers"]) -> int:
        is_slow = self.answer_rate and direction == "answers"
        return max(1, int(self.answer_rate / 50)) if is_slow else 65536

    def _seconds_of(self, chunk: bytes, direction: Literal["sent", "answers"]) -> float:
        """Return how long it takes to pass."""
        is_slow = self.answer_rate and direction == "answers"
        return self.delay_seconds + (len(chunk) / self.answer_rate if is_slow else 0)

    async def _copy(
        self,
        reader: asyncio.StreamReader,
        writer: asyncio.StreamWriter,
        direction: Literal["sent", "answers"],
    ) -> None:
        with contextlib.suppress(OSError):
            while chunk := await reader.read(self._chunk_bytes(direction)):
                await self._flowing.wait()
                if self._is_lost(chunk, direction):
                    continue
                if seconds := self._seconds_of(chunk, direction):
                    await asyncio.sleep(seconds)
                writer.write(chunk)
                await self._end_lingering()
                await writer.drain()
        writer.transport.abort()


async def _abort(writer: asyncio.StreamWriter) -> None:
    writer.transport.abort()
    with contextlib.suppress(OSError):
        await writer.wait_closed()
