"""A client that sends requests on websockets where Asterisk takes them, and by HTTP otherwise."""

import asyncio

from . import rest_frames
from .client import MAX_ANSWER_BYTES, Answer, AriClient, limited
from .errors import AriTimeoutError, UnreachableError
from .rest_pool import RestPool
from .rest_socket import BrokenSocketError, FrameTooLargeError, NotSentError, RefusedSocketError


class EitherClient:
    """Sends each request on the websocket with the fewest requests, or else by HTTP.

    By HTTP goes what does not belong on a websocket (`rest_frames.belongs`), and all of it while no
    websocket would answer soon. What a websocket may have taken is not sent again, unless it is a
    GET.
    """

    def __init__(
        self, sockets: RestPool, http: AriClient, *, concurrency: int, timeout_seconds: float
    ) -> None:
        """Initialise a client.

        Args:
            sockets: the websockets; whoever runs them opens them.
            http: sends the others.
            concurrency: the most requests at once on websockets; the others wait in order.
            timeout_seconds: the default deadline of a request.
        """
        self._sockets = sockets
        self._http = http
        self._slots = asyncio.Semaphore(concurrency)
        self._timeout = timeout_seconds
        self._loop = asyncio.get_running_loop()
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
        if self._sockets.opened and rest_frames.belongs(method, url):
            deadline = self._loop.time() + seconds
            answer = await self._on_websocket(method, url, body, seconds)
            if answer is not None:
                return limited(answer, method, url, max_bytes)
            seconds = max(deadline - self._loop.time(), 0.001)
        return await self._http.request(
            method, url, body, timeout_seconds=seconds, max_bytes=max_bytes
        )

    async def _on_websocket(
        self, method: str, url: str, body: str, seconds: float
    ) -> Answer | None:
        """Return the answer on a websocket, or None if the request has to go by HTTP."""
        sent = False
        try:
            async with asyncio.timeout(seconds), self._slots:
                socket = self._sockets.free()
                if socket is None:
                    return None
                waiting = socket.send(method, url, body)
                sent = True
                self._in_flight += 1
                try:
                    return await waiting
                finally:
                    self._in_flight -= 1
        except (NotSentError, FrameTooLargeError, RefusedSocketError):
            return None
        except BrokenSocketError as error:
            if method == "GET":
                return None
            what = "the websocket broke"
            raise UnreachableError(method, _path(url), what, sent=True) from error
        except TimeoutError as error:
            what = "no answer in time" if sent else "no free connection in time, not sent"
            raise AriTimeoutError(method, _path(url), what, sent=sent) from error


def _path(url: str) -> str:
    return url.partition("?")[0]
