"""Reads Asterisk's events, one connection after another, and sees to it that they come."""

import asyncio
import contextlib
from collections.abc import Awaitable, Callable, Coroutine
from typing import Literal

import structlog
from websockets.asyncio.client import ClientConnection

from ari_proxy.ari import websocket
from ari_proxy.ari.websocket import EventSocket, frames, reason_of_end
from ari_proxy.bus.base import Bus
from ari_proxy.protocol.ids import ServerId
from ari_proxy.telemetry import metrics_table as table
from ari_proxy.telemetry.metrics import Metrics

from .canary import EventCanary

_log = structlog.get_logger()

#: Why a connection is over; `silent` if it was open and no event came any more, `replaced` if
#: another client had taken an application.
EndReason = Literal[websocket.EndReason, "silent", "replaced"]
Work = Callable[[], Coroutine[None, None, None]]


class Reader:
    """The connection to Asterisk's events, for as long as a term lasts."""

    def __init__(  # noqa: PLR0913  what happens when, by name
        self,
        server: ServerId,
        socket: EventSocket,
        proof: EventCanary,
        *,
        take: Callable[[bytes], None],
        on_connected: Callable[[], None],
        recover: Callable[[], Awaitable[Work]],
        on_lost: Callable[[], None],
        metrics: Metrics,
    ) -> None:
        """Make one for a term.

        Args:
            server: whose events they are.
            socket: connects.
            proof: tells that events have stopped to come.
            take: gets each frame, and never waits.
            on_connected: called before the first frame.
            recover: brings the dialogs up to date after a connect; returns what is left to do.
            on_lost: called when a connection is over.
            metrics: counts connections.
        """
        self._server = server
        self._socket = socket
        self._proof = proof
        self._take = take
        self._on_connected = on_connected
        self._recover = recover
        self._on_lost = on_lost
        self._metrics = metrics
        self.is_connected = False
        #: True once the dialogs are as Asterisk has them, until the next connect.
        self.is_up_to_date = False
        #: Applications that another client has taken, on this connection.
        self.replaced: set[str] = set()
        #: Set when another client has taken all of them.
        self.is_replaced = asyncio.Event()
        #: No other connection is to be opened: it would take the applications from a successor.
        self.is_last = False
        self._is_silent = False

    def note_replaced(self, application: str) -> None:
        """Take that another client has an application now, as this connection has told."""
        self.replaced.add(application)
        if self.replaced.issuperset(self._socket.applications):
            self.is_replaced.set()

    async def run(self, bus: Bus) -> None:
        """Read for ever, or to the end of the last connection."""
        # Without a bus it could serve no call, and would take them from one that can.
        await bus.wait_connected()
        async with contextlib.aclosing(self._socket.connections()) as opened:
            async for connection in opened:
                await self._serve(connection)
                if self.is_last:
                    return

    async def _serve(self, connection: ClientConnection) -> None:
        self._metrics.counter(table.WEBSOCKET_CONNECTS, self._server).inc()
        _log.info("websocket.connected", applications=self._socket.applications)
        await self._read(connection)
        self._on_lost()
        reason = self._reason(connection)
        self._metrics.counter(table.WEBSOCKET_DISCONNECTS, self._server, reason).inc()
        _log.warning("websocket.disconnected", code=connection.close_code, reason=reason)

    async def _read(self, connection: ClientConnection) -> None:
        self.is_connected, self._is_silent = True, False
        self.is_up_to_date = False
        self.replaced.clear()
        self.is_replaced.clear()
        self._on_connected()
        async with asyncio.TaskGroup() as tasks:
            following = tasks.create_task(self._follow(connection))
            try:
                async for frame in frames(connection):
                    self._take(frame)
            finally:
                self.is_connected = False
                following.cancel()

    async def _follow(self, connection: ClientConnection) -> None:
        remaining = await self._recover()
        async with asyncio.TaskGroup() as tasks:
            tasks.create_task(self._complete(remaining))
            silent = await self._proof.until_silent(self.replaced)
            _log.error("websocket.silent", application=silent)
            self._is_silent = True
            await connection.close()

    async def _complete(self, remaining: Work) -> None:
        await remaining()
        self.is_up_to_date = True

    def _reason(self, connection: ClientConnection) -> EndReason:
        if self._is_silent:
            return "silent"
        return "replaced" if self.replaced else reason_of_end(connection)
