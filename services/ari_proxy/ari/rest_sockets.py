"""A few websockets for REST requests, kept open while Asterisk answers requests on them."""

import asyncio
from collections.abc import Callable, Sequence
from contextlib import aclosing
from typing import Final

import msgspec
import structlog
from websockets.asyncio.client import ClientConnection

from ari_proxy.backoff import Backoff
from ari_proxy.protocol import ids

from .rest_socket import BrokenSocketError, NotSentError, RefusedSocketError, RestSocket
from .websocket import EventSocket

_log = structlog.get_logger()

#: Applications of these websockets begin with it, in Asterisk's list of applications, too.
APPLICATION_PREFIX: Final = "ari-proxy-command-"
#: For the first answer on a websocket; an older Asterisk gives none.
ANSWER_SECONDS: Final = 2.0
#: Until an Asterisk that gave no answer is asked again: it was busy, or it is upgraded meanwhile.
ASK_AGAIN: Final = Backoff(first_seconds=10.0, last_seconds=300.0)
_OK: Final = 200
#: Lets only answers pass: a broadcast for all applications is not for this one.
_FILTER: Final = msgspec.json.encode({"allowed": [{"type": "RESTResponse"}]}).decode()


def application_name() -> str:
    """Return a name that no other websocket has.

    Of two websockets with one name Asterisk answers both only until the newer one closes. The
    application is gone with its websocket.
    """
    return APPLICATION_PREFIX + ids.random_id(ids.TOKEN_LENGTH)


class RestSockets:
    """Keeps websockets open and chooses the one for the next request."""

    def __init__(
        self,
        sockets: Sequence[EventSocket],
        *,
        answer_seconds: float = ANSWER_SECONDS,
        ask_again: Backoff = ASK_AGAIN,
    ) -> None:
        """Create a pool; `run` opens it.

        Args:
            sockets: each with an application of its own.
            answer_seconds: for the first answer on a websocket.
            ask_again: the pauses until an Asterisk that gave none is asked again.
        """
        self._sockets = sockets
        self._answer_seconds = answer_seconds
        self._ask_again = ask_again
        self._loop = asyncio.get_running_loop()
        self._open: list[RestSocket] = []
        #: Set for a moment when a websocket may have become free.
        self._changed = asyncio.Event()
        #: Set while the first websocket is open: it asks for all.
        self._is_offered = asyncio.Event()

    @property
    def opened(self) -> int:
        """The number of websockets that take requests."""
        return len(self._open)

    def free(self) -> RestSocket | None:
        """Return the websocket with the fewest requests, or None if a request would wait."""
        now = self._loop.time()
        free = [socket for socket in self._open if socket.is_free(now)]
        return min(free, key=lambda socket: socket.pending, default=None)

    async def first_free(self) -> RestSocket:
        """Return the websocket with the fewest requests; wait until there is one."""
        while (socket := self.free()) is None:
            await self._changed.wait()
        return socket

    def _wake(self) -> None:
        """Let those look again who wait for a websocket."""
        self._changed.set()
        self._changed.clear()

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
                    is_answered = await self._serve(connection, socket, self._is_offered.set)
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
                await self._serve(connection, socket)
                await self._is_offered.wait()

    async def _serve(
        self,
        connection: ClientConnection,
        socket: EventSocket,
        answered: Callable[[], None] = lambda: None,
    ) -> bool:
        """Offer a connection for requests until it has ended.

        Args:
            connection: an open one.
            socket: where it comes from.
            answered: called once Asterisk has answered on it.

        Returns:
            False if Asterisk takes no requests on it; it is open then.
        """
        requests = RestSocket(connection, self._wake)
        async with asyncio.TaskGroup() as tasks:
            reading = tasks.create_task(requests.read())
            if not await takes_requests(requests, socket.applications[0], self._answer_seconds):
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
