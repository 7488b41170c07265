"""Reads Asterisk's events from one websocket connection after another, and watches for silence."""

import asyncio
import contextlib
from collections.abc import AsyncGenerator, Awaitable, Callable, Coroutine
from functools import partial
from typing import Literal

import structlog
from websockets.exceptions import ConnectionClosed
from websockets.frames import CloseCode

from ari_proxy.ari import websocket
from ari_proxy.ari.connection_source import EventSource
from ari_proxy.ari.message_connection import MessageConnection
from ari_proxy.ari.websocket import reason_of_end
from ari_proxy.protocol.ids import ServerId
from ari_proxy.telemetry import metrics_table as table
from ari_proxy.telemetry.metrics import Metrics

from .canary import EventCanary
from .frame_buffer import FrameBuffer
from .freed import FreedApplications
from .replaced import ReplacedApplications

_log = structlog.get_logger()

#: Why a connection has ended; `silent` if it was open and delivered no events any more, `replaced`
#: if another client had taken an application.
DisconnectReason = Literal[websocket.EndReason, "silent", "replaced"]
#: Work that is left, without haste.
Remaining = Callable[[], Coroutine[None, None, None]]
#: Brings the dialogs up to date after a connect.
CatchUp = Callable[[], Awaitable[Remaining]]


class _Reading:
    """Reads one connection to its end."""

    def __init__(
        self,
        connection: MessageConnection,
        socket: EventSource,
        buffer: FrameBuffer,
        *,
        canary: EventCanary,
        replaced: ReplacedApplications,
        freed: FreedApplications,
    ) -> None:
        self.connection = connection
        self._socket = socket
        self._buffer = buffer
        self._canary = canary
        self._replaced = replaced
        self._freed = freed
        self._is_silent = False
        #: True while the connection is open.
        self.is_open = True
        #: True once the dialogs are as Asterisk has them.
        self.is_up_to_date = False

    async def run(self, catch_up: CatchUp, *, is_last: bool) -> None:
        """Read; `is_last` if the connection is to be closed at once."""
        keeps_taken = self._socket.is_queued and self._canary.is_enabled
        self._replaced.begin_connection(has_all=not keeps_taken)
        async with asyncio.TaskGroup() as tasks:
            following = tasks.create_task(self._follow(catch_up))
            try:
                if is_last:
                    tasks.create_task(self.connection.close())
                await self._socket.read(self.connection, self._buffer.put)
            finally:
                self.is_open = False
                self._replaced.end_connection()
                following.cancel()

    async def _follow(self, catch_up: CatchUp) -> None:
        remaining = await catch_up()
        async with asyncio.TaskGroup() as tasks:
            tasks.create_task(self._complete(remaining))
            if self._socket.is_queued:
                await self._canary.watch(self._replaced)
                return
            tasks.create_task(self._take_again())
            silent = await self._canary.until_silent(self._replaced.names)
            _log.error("websocket.silent", application=silent)
            self._is_silent = True
            await self.connection.close()

    async def _take_again(self) -> None:
        """Open a connection with the applications that nobody has any more."""
        freed = await self._freed.wait()
        _log.warning("application.freed", applications=sorted(freed))
        self._replaced.take_again(freed)
        self._socket.leave(self._replaced.left)
        await self.connection.close()

    async def _complete(self, remaining: Remaining) -> None:
        await remaining()
        self.is_up_to_date = True

    @property
    def is_complete(self) -> bool:
        """True if it was closed in order, so that all that Asterisk had sent has been read."""
        return not self.is_open and self.connection.close_code == CloseCode.NORMAL_CLOSURE

    @property
    def reason(self) -> DisconnectReason:
        """Why the connection has ended."""
        if self._is_silent:
            return "silent"
        return "replaced" if self._replaced.names else reason_of_end(self.connection)


class EventReader:
    """The events websocket of one active ingest."""

    def __init__(  # noqa: PLR0913  what a connection meets
        self,
        server: ServerId,
        socket: EventSource,
        buffer: FrameBuffer,
        *,
        canary: EventCanary,
        replaced: ReplacedApplications,
        freed: FreedApplications,
        metrics: Metrics,
    ) -> None:
        """Make a reader that is not connected.

        Args:
            server: a label of the metrics.
            socket: opens the connections.
            buffer: gets each frame.
            canary: detects a silent connection.
            replaced: told of each connection.
            freed: those of them that are taken again.
            metrics: counts connections.
        """
        self._server = server
        self._socket = socket
        self._metrics = metrics
        self._read = partial(
            _Reading,
            socket=socket,
            buffer=buffer,
            canary=canary,
            replaced=replaced,
            freed=freed,
        )
        self._task: asyncio.Task[None] | None = None
        #: The newest one.
        self._reading: _Reading | None = None
        #: Whether `connections` has begun, and whether no other one is to be opened.
        self._has_begun = self._is_last = False

    @property
    def is_complete(self) -> bool:
        """True if all that Asterisk had sent on the last connection has been read."""
        return self._is_last and self._reading is not None and self._reading.is_complete

    @property
    def connection(self) -> object:
        """The newest connection, as something to compare; None before the first one."""
        return self._reading

    @property
    def is_connected(self) -> bool:
        """True while a connection is open."""
        return self._reading is not None and self._reading.is_open

    @property
    def is_up_to_date(self) -> bool:
        """True once the dialogs are as Asterisk has them, until the next connect."""
        return self._reading is not None and self._reading.is_up_to_date

    async def read_so_far(self) -> None:
        """Return once all is read that Asterisk has sent by now, or the connection has ended.

        The caller sets a deadline.
        """
        if self._reading is not None and self._reading.is_open:
            with contextlib.suppress(ConnectionClosed):
                await (await self._reading.connection.ping())

    def start(self, reading: Coroutine[None, None, None], tasks: asyncio.TaskGroup) -> None:
        """Start the task that reads from the connections."""
        self._task = tasks.create_task(reading)

    def stop(self) -> None:
        """Close the connection and open no other one; returns at once, and may be called again."""
        # A second cancellation would interrupt the closing handshake.
        if self._task is not None and not self._task.cancelling():
            self._task.cancel()

    async def finish(self, timeout_seconds: float) -> None:
        """Close the connection in order, and read all that Asterisk has sent; open no other one.

        What Asterisk has after that stays there. A connection without an answer in time is cut.
        """
        if self._task is None or not self._has_begun:
            self.stop()
            return
        self._is_last = True
        self._socket.end()
        try:
            async with asyncio.timeout(timeout_seconds):
                if self._reading is not None:
                    await self._reading.connection.close()
                await asyncio.wait([self._task])
        except TimeoutError:
            if self._reading is not None:
                self._reading.connection.transport.abort()
            self.stop()

    async def connections(self) -> AsyncGenerator[MessageConnection, None]:
        """Yield each connection once it is open; the next one is opened when this one is read."""
        async with contextlib.aclosing(self._socket.connections()) as opened:
            self._has_begun = True
            async for connection in opened:
                self._metrics.counter(table.WEBSOCKET_CONNECTS, self._server).inc()
                _log.info("websocket.connected", applications=self._socket.applications)
                yield connection

    async def read(self, connection: MessageConnection, catch_up: CatchUp) -> None:
        """Read until the connection has ended.

        Args:
            connection: one of `connections`.
            catch_up: runs beside the reading; a silent connection is replaced once it is through.
        """
        reading = self._reading = self._read(connection)
        # The last one: `finish` came as it was being opened.
        await reading.run(catch_up, is_last=self._is_last)
        self._metrics.counter(table.WEBSOCKET_DISCONNECTS, self._server, reading.reason).inc()
        code = connection.close_code
        _log.warning("websocket.disconnected", code=code, reason=reading.reason)
