"""The REST client: keep-alive and concurrency below the limits of Asterisk's HTTP server.

http.conf: `session_keep_alive` (15 s) closes an idle connection; above `sessionlimit` (100,
websockets included) a connection is accepted and closed without an answer. Credentials travel in an
Authorization header, never in a URL.
"""

import asyncio
from dataclasses import dataclass
from types import TracebackType
from typing import Final, Self

import aiohttp
import structlog

from ari_proxy.__about__ import __version__

from .client import MAX_ANSWER_BYTES, Answer
from .credentials import Credentials, CredentialSource
from .errors import AnswerTooLargeError, AriTimeoutError, UnreachableError
from .http_connections import HttpConnections, NotConnectedError
from .tls import AriTls

#: Below the 15 s of http.conf's session_keep_alive, so that the client closes first.
KEEP_ALIVE_SECONDS: Final = 10.0
#: Asterisk's limit (http.c: MAX_CONTENT_LENGTH); it answers 413 to more and closes.
MAX_BODY_BYTES: Final = 40_960
_UNAUTHORIZED: Final = 401

_log = structlog.get_logger()


@dataclass(slots=True)
class _Course:
    """How far a request has come."""

    is_connecting: bool = False
    #: Whether Asterisk may have it: its first byte was written.
    is_sent: bool = False

    @property
    def standstill(self) -> str:
        """What has not happened in time."""
        if self.is_sent:
            return "no answer in time"
        if self.is_connecting:
            return "no connection to Asterisk in time, not sent"
        return "no free connection in time, not sent"


class RestClient:
    """Sends requests to one Asterisk; at most `concurrency` at once, the others wait in order."""

    def __init__(
        self,
        root: str,
        credentials: CredentialSource,
        *,
        concurrency: int,
        timeout_seconds: float,
        tls: AriTls | None = None,
        path: str = "",
    ) -> None:
        """Create a client; it connects with its first request.

        Args:
            root: ARI's URL.
            credentials: asked for each request.
            concurrency: the most requests at once.
            timeout_seconds: the default deadline of a request.
            tls: of an https root; None for the system's authorities.
            path: of a socket of the Unix domain, instead of TCP; or ''.
        """
        self._credentials = credentials
        self._timeout = timeout_seconds
        self._is_secure = root.startswith("https:")
        self._tls = tls if tls is not None and self._is_secure else AriTls()
        self._slots = asyncio.Semaphore(concurrency)
        self._connections = HttpConnections(
            root, tls=self._tls, keep_seconds=KEEP_ALIVE_SECONDS, path=path
        )
        self._root = self._connections.root
        #: Asterisk compresses nothing.
        self._head = (
            f" HTTP/1.1\r\nHost: {self._connections.host}\r\nAccept: */*\r\n"
            f"Accept-Encoding: identity\r\nUser-Agent: ari-proxy/{__version__}\r\n"
        )
        self.in_flight = 0

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        await self._connections.close()

    async def request(
        self,
        method: str,
        url: str,
        body: str = "",
        *,
        timeout_seconds: float | None = None,
        max_bytes: int = MAX_ANSWER_BYTES,
    ) -> Answer:
        """Send one request as AriClient does.

        It is sent once, with two exceptions: a GET is repeated once if the connection breaks, and
        any request once if Asterisk refuses its credentials and there are newer ones.
        """
        path = url.partition("?")[0]
        course = _Course()
        try:
            async with asyncio.timeout(timeout_seconds or self._timeout), self._slots:
                self.in_flight += 1
                course.is_connecting = True
                try:
                    return await self._send(method, url, body, max_bytes, course)
                finally:
                    self.in_flight -= 1
        except TimeoutError as error:
            raise AriTimeoutError(method, path, course.standstill, sent=course.is_sent) from error
        except NotConnectedError as error:
            reason = await self._reason(error)
            raise UnreachableError(method, path, reason, sent=course.is_sent) from error
        except (aiohttp.ClientError, OSError) as error:
            what = f"the connection broke ({type(error).__name__})"
            raise UnreachableError(method, path, what, sent=True) from error

    async def _reason(self, error: NotConnectedError) -> str:
        """Return why there is no connection, if by a fault of Asterisk's certificate."""
        cause = error.__cause__ or error
        untrusted = await self._tls.explained(cause, *self._connections.server)
        return untrusted or (isinstance(cause, OSError) and cause.strerror) or str(cause)

    async def _send(
        self, method: str, url: str, body: str, max_bytes: int, course: "_Course"
    ) -> Answer:
        """Send a request; repeat a GET after a broken connection, and any with new credentials."""
        may_repeat, may_renew = method == "GET", True
        while True:
            credentials = self._credentials.current()
            request = self._request(method, url, body, credentials)
            try:
                connection = await self._connections.connection()
                course.is_sent = True
                status, content = await self._connections.exchange(connection, request, max_bytes)
            except (aiohttp.ServerDisconnectedError, ConnectionError):
                if not may_repeat:
                    raise
                may_repeat = False
                continue
            # A refused request has done nothing; a password that changes must not cost a command.
            is_refused = status == _UNAUTHORIZED
            if not (is_refused and may_renew and self._credentials.refused(credentials)):
                return _answer(method, url, status, content, max_bytes)
            may_renew = course.is_sent = False

    def _request(self, method: str, url: str, body: str, credentials: Credentials) -> bytes:
        """Return a request as HTTP/1.1 has it (RFC 9112)."""
        target = self._root + url
        if not target.isprintable() or " " in target:  # It would end the line.
            raise ValueError(f"{target!r} is no target of a request")
        head = f"{method} {target}{self._head}Authorization: {credentials.authorization}\r\n"
        if not body:
            told = "\r\n" if method == "GET" else "Content-Length: 0\r\n\r\n"
            return f"{head}{told}".encode()
        content = body.encode()
        kind = "Content-Type: application/json\r\n"
        return f"{head}{kind}Content-Length: {len(content)}\r\n\r\n".encode() + content


def _answer(method: str, url: str, status: int, content: bytes | None, max_bytes: int) -> Answer:
    if content is None:
        path = url.partition("?")[0]
        _log.warning("asterisk.answer_too_large", method=method, path=path, limit=max_bytes)
        raise AnswerTooLargeError(method, path, status, max_bytes)
    return Answer(status, content.decode(errors="replace"))
