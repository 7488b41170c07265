"""The REST client: keep-alive and concurrency below the limits of Asterisk's HTTP server.

http.conf: `session_keep_alive` (15 s) closes an idle connection; above `sessionlimit` (100,
websockets included) a connection is accepted and closed without an answer. Credentials travel in an
Authorization header, never in a URL.
"""

import asyncio
from contextlib import AbstractAsyncContextManager
from types import TracebackType
from typing import Final, Self

import aiohttp
import structlog
from yarl import URL

from ari_proxy import bounded_body
from ari_proxy.__about__ import __version__

from .client import MAX_ANSWER_BYTES, Answer
from .credentials import Credentials, CredentialSource
from .errors import AnswerTooLargeError, AriTimeoutError, UnreachableError
from .tls import AriTls

#: Below the 15 s of http.conf's session_keep_alive, so that the client closes first.
KEEP_ALIVE_SECONDS: Final = 10.0
#: Asterisk's limit (http.c: MAX_CONTENT_LENGTH); it answers 413 to more and closes.
MAX_BODY_BYTES: Final = 40_960
_UNAUTHORIZED: Final = 401

_log = structlog.get_logger()


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
        connector: aiohttp.BaseConnector | None = None,
    ) -> None:
        """Create a client; it connects with its first request.

        Args:
            root: ARI's URL.
            credentials: asked for each request.
            concurrency: the most requests at once.
            timeout_seconds: the default deadline of a request.
            tls: of an https root; None for the system's authorities.
            connector: aiohttp's connector; None for TCP.
        """
        self._root = root.rstrip("/")
        self._credentials = credentials
        self._timeout = timeout_seconds
        self._is_secure = root.startswith("https:")
        self._tls = tls if tls is not None and self._is_secure else AriTls()
        self._slots = asyncio.Semaphore(concurrency)
        self._session = aiohttp.ClientSession(
            connector=connector
            or aiohttp.TCPConnector(limit=0, keepalive_timeout=KEEP_ALIVE_SECONDS),
            # One deadline around the whole request: `asyncio.timeout` below.
            timeout=aiohttp.ClientTimeout(total=None),
            cookie_jar=aiohttp.DummyCookieJar(),
            auto_decompress=False,
            # Asterisk compresses nothing.
            headers={"User-Agent": f"ari-proxy/{__version__}", "Accept-Encoding": "identity"},
        )
        # aiohttp would send a PUT or DELETE again when a kept-alive connection breaks.
        self._session._retry_connection = False  # noqa: SLF001
        self.in_flight = 0

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        await self._session.close()

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
        sent = False
        try:
            async with asyncio.timeout(timeout_seconds or self._timeout), self._slots:
                self.in_flight += 1
                sent = True
                try:
                    return await self._send(method, url, body, max_bytes)
                finally:
                    self.in_flight -= 1
        except TimeoutError as error:
            what = "no answer in time" if sent else "no free connection in time, not sent"
            raise AriTimeoutError(method, path, what, sent=sent) from error
        except aiohttp.ClientConnectorError as error:
            what = await self._untrusted(error) or f"{error.strerror}"
            raise UnreachableError(method, path, what, sent=False) from error
        except (aiohttp.ClientError, OSError) as error:
            what = f"the connection broke ({type(error).__name__})"
            raise UnreachableError(method, path, what, sent=True) from error

    async def _untrusted(self, error: aiohttp.ClientConnectorError) -> str:
        """Return the fault of Asterisk's certificate, or ''."""
        return await self._tls.explained(error, error.host, error.port)

    async def _send(self, method: str, url: str, body: str, max_bytes: int) -> Answer:
        """Send a request; repeat a GET after a broken connection, and any with new credentials."""
        may_repeat, may_renew = method == "GET", True
        while True:
            credentials = self._credentials.current()
            try:
                async with self._exchange(method, url, body, credentials) as response:
                    answer = await _read(response, method, url, max_bytes)
            except (aiohttp.ServerDisconnectedError, ConnectionError):
                if not may_repeat:
                    raise
                may_repeat = False
                continue
            # A refused request has done nothing; a password that changes must not cost a command.
            is_refused = answer.status == _UNAUTHORIZED
            if not (is_refused and may_renew and self._credentials.refused(credentials)):
                return answer
            may_renew = False

    def _exchange(
        self, method: str, url: str, body: str, credentials: Credentials
    ) -> AbstractAsyncContextManager[aiohttp.ClientResponse]:
        return self._session.request(
            method,
            URL(self._root + url, encoded=True),
            data=body.encode() if body else None,
            headers=credentials.json_headers if body else credentials.headers,
            allow_redirects=False,
            ssl=self._tls.context() if self._is_secure else True,
            server_hostname=self._tls.server_name,
        )


async def _read(response: aiohttp.ClientResponse, method: str, url: str, max_bytes: int) -> Answer:
    content = await bounded_body.read(response, max_bytes)
    if content is None:
        path = url.partition("?")[0]
        _log.warning("asterisk.answer_too_large", method=method, path=path, limit=max_bytes)
        raise AnswerTooLargeError(method, path, response.status, max_bytes)
    return Answer(response.status, content.decode(errors="replace"))
