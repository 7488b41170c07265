"""A websocket whose messages go straight to a function: the library's queue costs more than that.

The library hands a message over by a queue, a future and a turn of the loop, which is a tenth of
what an event costs.
"""

import asyncio
from collections import deque
from collections.abc import Callable
from contextvars import Context, copy_context
from typing import Any, Final

from websockets.asyncio.connection import Connection
from websockets.frames import DATA_OPCODES, Frame
from websockets.protocol import Event, State

#: Messages that wait for a reader; beyond that, TCP's flow control stops Asterisk from sending.
QUEUED_MESSAGES: Final = 4096


class MessageConnection(Connection):
    """The library's connection, read by `read`; its own `recv` gets nothing."""

    def __init__(self, *arguments: Any, **options: Any) -> None:
        """Take the library's own arguments."""
        super().__init__(*arguments, **options)
        self._take: Callable[[bytes], None] | None = None
        #: Of who reads: the library calls us in that of who has opened the connection, or accepted.
        self._context: Context = copy_context()
        self._ended: asyncio.Future[None] | None = None
        self._waiting: deque[bytes] = deque()
        #: Of a message in several frames.
        self._parts: list[bytes] = []

    def connection_lost(self, exc: Exception | None) -> None:
        """End the reading."""
        super().connection_lost(exc)
        if self._ended is not None and not self._ended.done():
            self._ended.set_result(None)

    def process_event(self, event: Event) -> None:
        """Pass a message on; the library handles all other frames."""
        if not isinstance(event, Frame) or event.opcode not in DATA_OPCODES:
            super().process_event(event)
        elif event.fin and not self._parts:
            self._pass(bytes(event.data))
        else:
            self._parts.append(bytes(event.data))
            if event.fin:
                message, self._parts = b"".join(self._parts), []
                self._pass(message)

    def _pass(self, message: bytes) -> None:
        if self._take is None:
            self._waiting.append(message)
            if len(self._waiting) >= QUEUED_MESSAGES:
                self.transport.pause_reading()
            return
        try:
            self._context.run(self._take, message)
        except Exception as error:  # noqa: BLE001  `read` raises it
            self._take = None
            if self._ended is not None and not self._ended.done():
                self._ended.set_exception(error)

    async def read(self, take: Callable[[bytes], None]) -> None:
        """Pass messages on, undecoded and in order, until the connection has ended.

        Args:
            take: called for each message, also for those that have come before, in the caller's
                context; must not wait.

        Raises:
            Exception: what `take` raises; it gets no further message.
        """
        while self._waiting:
            take(self._waiting.popleft())
        if self.state is State.CLOSED:
            return
        self._context = copy_context()
        self._take, self._ended = take, self.loop.create_future()
        self.transport.resume_reading()
        try:
            await self._ended
        finally:
            self._take = self._ended = None
