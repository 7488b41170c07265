"""Kept-alive HTTP connections to one server: aiohttp's protocol and parser, without its session.

For each request the session looks after cookies, redirects, proxies, middlewares and more that ARI
has none of. That costs more CPU than all the rest of a request.
"""

import asyncio
import errno
import ssl
from collections import deque
from contextlib import suppress
from typing import Any, Final, NamedTuple, cast

import aiohttp
from aiohttp.client_proto import ResponseHandler
from aiohttp.http_exceptions import HttpProcessingError
from aiohttp.http_parser import RawResponseMessage
from yarl import URL

from ari_proxy import bounded_body, happy_eyeballs

from .tls import AriTls

#: For the connections to close in order when the client ends.
_CLOSE_SECONDS: Final = 1.0
_INFORMATIONAL: Final = range(100, 200)
_SWITCHED: Final = 101


class NotConnectedError(Exception):
    """There is no connection to the server; its cause is the reason."""


class MalformedAnswerError(aiohttp.ClientError):
    """What the server has sent is no HTTP."""


class HttpAnswer(NamedTuple):
    """A server's answer."""

    status: int
    #: None if it is larger than the limit; it is not read to its end then.
    content: bytes | None


class _Idle(NamedTuple):
    connection: ResponseHandler
    since: float


class HttpConnections:
    """Opens as many connections to one server as there are requests at once, and keeps them."""

    def __init__(self, root: str, *, tls: AriTls, keep_seconds: float, path: str = "") -> None:
        """Make a pool without any connection.

        Args:
            root: the server's URL; http or https.
            tls: of an https URL.
            keep_seconds: how long a connection without a request is used again.
            path: of a socket of the Unix domain, instead of TCP; or ''.
        """
        self._url = URL(root)
        self._tls = tls
        self._keep_seconds = keep_seconds
        self._path = path
        self._loop = asyncio.get_running_loop()
        self._idle: deque[_Idle] = deque()
        self._ending: asyncio.TimerHandle | None = None
        #: With the TLS context of each.
        self._open: dict[ResponseHandler, ssl.SSLContext | None] = {}
        #: That has accepted a connection last; the others may not answer.
        self._address = ""
        self._is_closed = False

    @property
    def server(self) -> tuple[str, int]:
        """Host and port."""
        return self._url.raw_host or "", self._url.port or 0

    @property
    def root(self) -> str:
        """The path of the URL, without a slash at its end."""
        return self._url.raw_path.rstrip("/")

    @property
    def host(self) -> str:
        """The value of a request's Host header."""
        return self._url.host_port_subcomponent or ""

    async def connection(self) -> ResponseHandler:
        """Return a connection for one `exchange`, which has to follow at once.

        Raises:
            NotConnectedError: there is none.
        """
        connection = self._kept()
        if connection is None:  # Not `or`: one with nothing to read is false.
            connection = await self._connect()
        return connection

    async def exchange(
        self, connection: ResponseHandler, request: bytes, max_bytes: int
    ) -> HttpAnswer:
        """Send a request once, and return its answer.

        Args:
            connection: taken for it.
            request: complete, HTTP/1.1, with at most 64 KiB.
            max_bytes: limit of the answer's body.

        Raises:
            aiohttp.ClientError, OSError: the connection broke, or the answer is no HTTP.
        """
        try:
            _send(connection, request)
            message, payload = await connection.read()
            while message.code in _INFORMATIONAL and message.code != _SWITCHED:
                message, payload = await connection.read()
            length = _told(message)
            content = await bounded_body.content_of(payload, length, max_bytes)
        except HttpProcessingError as error:
            self._end(connection)
            raise MalformedAnswerError(str(error)) from error
        except BaseException:
            self._end(connection)
            raise
        self._keep(connection, is_read=content is not None)
        return HttpAnswer(message.code, content)

    def _keep(self, connection: ResponseHandler, *, is_read: bool) -> None:
        """Use a connection again, unless more of its answer would come or either side ends it."""
        if is_read and not connection.should_close and not self._is_closed:
            self._idle.append(_Idle(connection, self._loop.time()))
            if self._ending is None:
                self._ending = self._loop.call_later(self._keep_seconds, self._end_oldest)
        else:
            self._end(connection)

    def _end_oldest(self) -> None:
        """End the connections that were kept long enough, before the server does."""
        self._ending = None
        oldest = self._loop.time() - self._keep_seconds
        while self._idle and self._idle[0].since <= oldest:
            self._end(self._idle.popleft().connection)
        if self._idle:
            due = self._idle[0].since + self._keep_seconds
            self._ending = self._loop.call_at(due, self._end_oldest)

    def _kept(self) -> ResponseHandler | None:
        """Return the connection that was used last, if there is one that may be used again."""
        oldest = self._loop.time() - self._keep_seconds
        tls = self._context()
        while self._idle:
            connection, since = self._idle.pop()
            is_current = since > oldest and self._open.get(connection) is tls
            if is_current and connection.is_connected() and not connection.should_close:
                return connection
            self._end(connection)
        return None

    async def _connect(self) -> ResponseHandler:
        if self._is_closed:
            raise NotConnectedError("the client has ended")
        tls = self._context()
        try:
            if self._path:
                _, protocol = await self._loop.create_unix_connection(self._make, self._path)
            else:
                protocol = await self._connect_tcp(tls)
        except OSError as error:
            raise NotConnectedError from error
        if self._is_closed:  # While it connected.
            protocol.abort()
            raise NotConnectedError("the client has ended")
        self._open[protocol] = tls
        return protocol

    async def _connect_tcp(self, tls: ssl.SSLContext | None) -> ResponseHandler:
        security: dict[str, Any] = {}
        if tls is not None:
            security = {"ssl": tls, "server_hostname": self._tls.server_name}
        transport, protocol = await happy_eyeballs.create_connection(
            self._make, *self.server, first=self._address, **security
        )
        peer = transport.get_extra_info("peername")
        if peer is None:  # The kernel knows none of a socket that was reset.
            transport.abort()
            raise ConnectionResetError(errno.ECONNRESET, "the connection was reset at once")
        self._address = peer[0]
        return protocol

    def _context(self) -> ssl.SSLContext | None:
        """Return the context for the next connection, or None for one without TLS."""
        return self._tls.context() if self._url.scheme == "https" and not self._path else None

    def _make(self) -> ResponseHandler:
        return ResponseHandler(self._loop)

    def _end(self, connection: ResponseHandler) -> None:
        self._open.pop(connection, None)
        connection.close()

    async def close(self) -> None:
        """Close all connections, and open none any more."""
        self._is_closed = True
        if self._ending is not None:
            self._ending.cancel()
        self._idle.clear()
        closing = [
            (closed, cast("asyncio.Transport", one.transport))
            for one in self._open
            if one.is_connected() and (closed := one.closed) is not None
        ]
        for connection in tuple(self._open):
            self._end(connection)
        # Shielded, so that the exceptions of those aborted after the deadline are read as well.
        ends = [asyncio.shield(closed) for closed, _ in closing]
        with suppress(TimeoutError):
            async with asyncio.timeout(_CLOSE_SECONDS):
                await asyncio.gather(*ends, return_exceptions=True)
        for closed, transport in closing:
            if not closed.done():
                transport.abort()


def _send(connection: ResponseHandler, request: bytes) -> None:
    connection.set_response_params(read_until_eof=True, auto_decompress=False)
    cast("asyncio.Transport", connection.transport).write(request)


def _told(message: RawResponseMessage) -> int:
    """Return the length that the head of an answer tells, or 0."""
    told = message.headers.get("Content-Length", "")
    return int(told) if told.isdecimal() else 0
