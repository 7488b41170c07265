"""A few websockets for REST requests, kept open while Asterisk answers requests on them."""

import asyncio
from collections.abc import Sequence
from contextlib import aclosing
from typing import Final

from ari_proxy.backoff import Backoff
from ari_proxy.protocol import ids

from .rest_pool import RestPool
from .websocket import EventSocket
from .websocket_names import COMMAND_PREFIX

#: Until an Asterisk that gave no answer is asked again: it was busy, or it is upgraded meanwhile.
ASK_AGAIN: Final = Backoff(first_seconds=10.0, last_seconds=300.0)


def application_name() -> str:
    """Return a name that no other websocket has.

    Of two websockets with one name Asterisk answers both only until the newer one closes. The
    application is gone with its websocket.
    """
    return COMMAND_PREFIX + ids.random_id(ids.TOKEN_LENGTH)


class RestSockets:
    """Keeps websockets that we open in a pool."""

    def __init__(
        self,
        pool: RestPool,
        sockets: Sequence[EventSocket],
        *,
        ask_again: Backoff = ASK_AGAIN,
    ) -> None:
        """Initialise; `run` opens them.

        Args:
            pool: has those that are open.
            sockets: each with an application of its own.
            ask_again: the pauses until an Asterisk that gave no answer is asked again.
        """
        self._pool = pool
        self._sockets = sockets
        self._ask_again = ask_again
        #: Set while the first websocket is open: it asks for all.
        self._is_offered = asyncio.Event()

    async def run(self) -> None:
        """Keep the websockets open until cancelled."""
        first, *others = self._sockets
        async with asyncio.TaskGroup() as tasks:
            tasks.create_task(self._keep_first(first))
            for socket in others:
                tasks.create_task(self._keep_other(socket))

    async def _keep_first(self, socket: EventSocket) -> None:
        unanswered = 0
        async with aclosing(socket.connections()) as connections:
            async for connection in connections:
                try:
                    is_answered = await self._pool.serve(
                        connection, socket.applications[0], self._is_offered.set
                    )
                finally:
                    self._is_offered.clear()
                unanswered = 0 if is_answered else unanswered + 1
                if unanswered:
                    await connection.close()
                    await asyncio.sleep(self._ask_again.seconds(unanswered))

    async def _keep_other(self, socket: EventSocket) -> None:
        async with aclosing(socket.connections()) as connections:
            await self._is_offered.wait()
            async for connection in connections:
                await self._pool.serve(connection, socket.applications[0])
                await self._is_offered.wait()
