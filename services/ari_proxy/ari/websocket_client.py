"""A client that sends requests on websockets, and only by HTTP what can't travel there."""

import asyncio
from dataclasses import dataclass

from . import rest_frames
from .client import MAX_ANSWER_BYTES, Answer, AriClient, limited
from .errors import AriTimeoutError, TransportError, UnreachableError
from .rest_pool import RestPool
from .rest_socket import (
    BrokenSocketError,
    FrameTooLargeError,
    NotSentError,
    RefusedSocketError,
    RestSocket,
)


@dataclass(slots=True)
class _WebsocketRequest:
    """A request, and what became of it so far."""

    method: str
    url: str
    body: str
    #: Whether it needs a websocket to itself.
    alone: bool
    #: Whether Asterisk may have it.
    is_sent: bool = False

    @property
    def path(self) -> str:
        return self.url.partition("?")[0]

    async def answer_on(self, socket: RestSocket) -> Answer:
        """Send it, and return the answer.

        Raises:
            NotSentError, FrameTooLargeError, RefusedSocketError: Asterisk has not executed it.
            BrokenSocketError: that is not known.
        """
        self.is_sent = True
        try:
            return await socket.send(self.method, self.url, self.body, alone=self.alone)
        except (NotSentError, FrameTooLargeError, RefusedSocketError):
            self.is_sent = False
            raise


class WebsocketClient:
    """Sends each request on the websocket with the fewest requests, those with long answers too.

    A request with a long answer has its websocket to itself: on a slow link Asterisk ends one that
    does not take the answer within 100 ms (ari.conf: websocket_write_timeout).

    While no websocket would answer soon, requests wait within their deadlines, whether or not HTTP
    would answer. What a websocket may have taken is not sent again, unless it is a GET, and that
    once.
    """

    def __init__(
        self, sockets: RestPool, http: AriClient, *, concurrency: int, timeout_seconds: float
    ) -> None:
        """Initialise a client.

        Args:
            sockets: the websockets; whoever runs them opens them.
            http: gets what can't travel on a websocket.
            concurrency: the most requests at once; the others wait in order.
            timeout_seconds: the default deadline of a request.
        """
        self._sockets = sockets
        self._http = http
        self._slots = asyncio.Semaphore(concurrency)
        self._timeout = timeout_seconds
        self._in_flight = 0

    @property
    def in_flight(self) -> int:
        """The number of requests that Asterisk has not answered yet."""
        return self._in_flight + self._http.in_flight

    async def request(
        self,
        method: str,
        url: str,
        body: str = "",
        *,
        timeout_seconds: float | None = None,
        max_bytes: int = MAX_ANSWER_BYTES,
    ) -> Answer:
        """Send one request as AriClient does."""
        seconds = timeout_seconds or self._timeout
        if rest_frames.obstacle(method, url):
            return await self._http.request(
                method, url, body, timeout_seconds=seconds, max_bytes=max_bytes
            )
        alone = not rest_frames.belongs(method, url)
        request = _WebsocketRequest(method, url, body, alone)
        try:
            async with asyncio.timeout(seconds), self._slots:
                answer = await self._answer(request)
        except FrameTooLargeError:
            return await self._http.request(
                method, url, body, timeout_seconds=seconds, max_bytes=max_bytes
            )
        except BrokenSocketError as error:
            what = "the websocket broke"
            raise UnreachableError(method, request.path, what, sent=True) from error
        except TimeoutError as error:
            raise self._overdue(request) from error
        return limited(answer, method, url, max_bytes)

    async def _answer(self, request: _WebsocketRequest) -> Answer:
        """Send a request until a websocket has taken it; repeat a GET after a broken one."""
        may_repeat = request.method == "GET"
        while True:
            socket = await self._sockets.first_free(alone=request.alone)
            self._in_flight += 1
            try:
                return await request.answer_on(socket)
            except (NotSentError, RefusedSocketError):
                continue
            except BrokenSocketError:
                if not may_repeat:
                    raise
                may_repeat = False
            finally:
                self._in_flight -= 1

    def _overdue(self, request: _WebsocketRequest) -> TransportError:
        method, path = request.method, request.path
        if request.is_sent:
            return AriTimeoutError(method, path, "no answer in time", sent=True)
        if self._sockets.opened:
            what = "no free websocket in time, not sent"
            return AriTimeoutError(method, path, what, sent=False)
        what = "no websocket to Asterisk is open, not sent"
        return UnreachableError(method, path, what, sent=False)
