"""The websockets that come to one path of the listener."""

import asyncio
from collections import deque
from collections.abc import AsyncGenerator
from dataclasses import dataclass, field

from .message_connection import MessageConnection
from .websocket import close


def _future() -> asyncio.Future[MessageConnection | None]:
    return asyncio.get_running_loop().create_future()


@dataclass(frozen=True, slots=True, eq=False)
class Waiter:
    """Somebody who waits for a websocket."""

    #: Of iterations that `ListenerPath.end` ends together.
    generation: int
    #: Gets it, or None if there will be none.
    future: asyncio.Future[MessageConnection | None] = field(default_factory=_future)

    def settle(self, connection: MessageConnection | None) -> bool:
        """Give it a websocket, or None; return whether that is still wanted."""
        if self.future.done():
            return False
        self.future.set_result(connection)
        return True


class ListenerPath:
    """Gives each websocket to one of those who wait for one; it is a ConnectionSource."""

    def __init__(self, applications: tuple[str, ...]) -> None:
        self.applications = applications
        self._waiting: deque[Waiter] = deque()
        self._generation = 0

    async def connections(self) -> AsyncGenerator[MessageConnection, None]:
        """Yield websockets, one after another; the next one is accepted when it is asked for.

        There may be several iterations at a time: each has a websocket of its own.
        """
        generation = self._generation
        while generation == self._generation:
            connection = await self._next()
            if connection is None:
                return
            try:
                yield connection
            finally:
                await close(connection)

    async def _next(self) -> MessageConnection | None:
        waiter = Waiter(self._generation)
        self._waiting.append(waiter)
        try:
            return await waiter.future
        except asyncio.CancelledError:
            if not waiter.future.cancelled() and (connection := waiter.future.result()) is not None:
                connection.transport.abort()  # It has just come, and nobody takes it.
            raise

    def end(self) -> None:
        """End the present iterations after the websockets that they have, or are about to get."""
        self._generation += 1
        while self._waiting:
            self._waiting.popleft().settle(None)

    def reserve(self) -> Waiter | None:
        """Return who gets a websocket that is about to be opened, or None if nobody waits."""
        while self._waiting:
            waiter = self._waiting.popleft()
            if not waiter.future.done():
                return waiter
        return None

    def settle(self, waiter: Waiter, connection: MessageConnection | None) -> bool:
        """Give a websocket to who has been reserved for it; return whether it is taken.

        Args:
            waiter: from `reserve`.
            connection: open; None if it could not be opened.
        """
        if connection is not None:
            return waiter.settle(connection)
        if waiter.generation == self._generation:
            self._waiting.appendleft(waiter)
        else:
            waiter.settle(None)
        return False
