"""The websockets that carry requests now, and the choice of one for the next request."""

import asyncio
import math
from collections.abc import Callable
from typing import Final

import msgspec
import structlog

from .message_connection import MessageConnection
from .rest_socket import BrokenSocketError, NotSentError, RefusedSocketError, RestSocket

_log = structlog.get_logger()

#: For the first answer on a websocket; an older Asterisk gives none.
ANSWER_SECONDS: Final = 2.0
_OK: Final = 200
#: Lets only answers pass: a broadcast for all applications is not for this one.
_FILTER: Final = msgspec.json.encode({"allowed": [{"type": "RESTResponse"}]}).decode()


class RestPool:
    """Open websockets on which Asterisk answers requests."""

    def __init__(self, *, answer_seconds: float = ANSWER_SECONDS) -> None:
        """Create an empty pool; `serve` adds to it.

        Args:
            answer_seconds: for the first answer on a websocket.
        """
        self._answer_seconds = answer_seconds
        self._loop = asyncio.get_running_loop()
        self._open: list[RestSocket] = []
        #: Set for a moment when a websocket may have become free.
        self._changed = asyncio.Event()

    @property
    def opened(self) -> int:
        """The number of websockets that take requests."""
        return len(self._open)

    def free(self) -> RestSocket | None:
        """Return the websocket with the fewest requests, or None if a request would wait."""
        now, found, fewest = self._loop.time(), None, math.inf
        for socket in self._open:
            if socket.pending < fewest and socket.is_free(now):
                found, fewest = socket, socket.pending
        return found

    async def first_free(self, *, alone: bool = False) -> RestSocket:
        """Return the websocket with the fewest requests; wait until there is one.

        Args:
            alone: whether it has to have none.
        """
        while (socket := self.free()) is None or (alone and socket.pending):
            await self._changed.wait()
        return socket

    async def until_open(self) -> None:
        """Wait until a websocket takes requests."""
        while not self._open:
            await self._changed.wait()

    async def until_empty(self) -> None:
        """Wait until no websocket takes requests."""
        while self._open:
            await self._changed.wait()

    async def leave(self, *, keep: int) -> None:
        """Close all websockets but some, each once its requests are answered.

        Args:
            keep: the number of those that stay open.
        """
        leaving = self._open[keep:]
        for socket in leaving:
            socket.retire()
        while any(socket.pending for socket in leaving):
            await self._changed.wait()
        async with asyncio.TaskGroup() as tasks:
            for socket in leaving:
                tasks.create_task(socket.close())

    def _wake(self) -> None:
        """Let those look again who wait for a websocket."""
        self._changed.set()
        self._changed.clear()

    async def serve(
        self,
        connection: MessageConnection,
        application: str,
        answered: Callable[[], None] = lambda: None,
    ) -> bool:
        """Offer a connection for requests until it has ended.

        Args:
            connection: an open one.
            application: the connection's.
            answered: called once Asterisk has answered on it.

        Returns:
            False if Asterisk takes no requests on it; it is open then.
        """
        requests = RestSocket(connection, self._wake)
        async with asyncio.TaskGroup() as tasks:
            reading = tasks.create_task(requests.read())
            if not await takes_requests(requests, application, self._answer_seconds):
                has_ended = reading.done()
                reading.cancel()
                return has_ended
            answered()
            self._open.append(requests)
            self._wake()
            try:
                await asyncio.wait([reading])
            finally:
                self._open.remove(requests)
                self._wake()
        return True


async def takes_requests(
    requests: RestSocket, application: str, seconds: float = ANSWER_SECONDS
) -> bool:
    """Return whether Asterisk answers a request on a websocket, and let only answers pass on it.

    Args:
        requests: on an open websocket that is being read.
        application: the websocket's.
        seconds: for the answer.
    """
    url = f"/applications/{application}/eventFilter"
    try:
        async with asyncio.timeout(seconds):
            answer = await requests.send("PUT", url, _FILTER)
    except TimeoutError:
        _log.info("rest_websocket.not_offered")
        return False
    except (NotSentError, BrokenSocketError, RefusedSocketError):
        return False
    if answer.status != _OK:
        _log.warning("rest_websocket.refused", status=answer.status, body=answer.body)
    return answer.status == _OK
