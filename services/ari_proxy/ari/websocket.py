"""The events websocket: one connection at a time, reopened with back-off and jitter.

Asterisk answers pings but sends none, and its TCP keep-alive is two hours, so the client pings.
Asterisk drops a reader that blocks for 100 ms (ari.conf: websocket_write_timeout): the code that
handles a message must not wait. After an ApplicationReplaced the socket stays open and silent; the
reader of the messages deals with that.
"""

import asyncio
import contextlib
import socket
from collections.abc import AsyncGenerator, Callable, Collection
from typing import Any, Final, Literal, cast
from urllib.parse import urlencode, urlsplit

import structlog
import websockets.asyncio.client as websockets_client
from websockets.exceptions import (
    ConnectionClosed,
    InvalidHandshake,
    InvalidStatus,
    WebSocketException,
)
from websockets.frames import CloseCode
from websockets.typing import Subprotocol

from ari_proxy import happy_eyeballs
from ari_proxy.backoff import Backoff

from .credentials import Credentials, CredentialSource
from .message_connection import MessageConnection
from .tls import AriTls

_log = structlog.get_logger()

#: Between pings, and until a pong is overdue: a dead socket is detected within 10 s.
PING_SECONDS: Final = 5.0
PONG_SECONDS: Final = 4.0
DEAD_SECONDS: Final = PING_SECONDS + PONG_SECONDS
OPEN_SECONDS: Final = 10.0
BACKOFF: Final = Backoff(first_seconds=0.25, last_seconds=10.0)
#: A connection that lasts this long resets the back-off.
STABLE_SECONDS: Final = 10.0
#: The largest frame seen from a real server is 16 KB (a ChannelVarset with a long value).
MAX_FRAME_BYTES: Final = 16 * 1024 * 1024
_UNAUTHORIZED: Final = 401
_ORDERLY: Final = frozenset({CloseCode.NORMAL_CLOSURE, CloseCode.GOING_AWAY})

EndReason = Literal["closed", "lost", "ping_timeout"]


class DialledConnection(MessageConnection, websockets_client.ClientConnection):
    """A websocket that we have opened."""


class EventSocket:
    """Iterates over connections to `/ari/events`."""

    def __init__(  # noqa: PLR0913  what a connection is made from, by name
        self,
        url: str,
        applications: tuple[str, ...],
        credentials: CredentialSource,
        *,
        origin: str = "",
        subscribe_all: bool = False,
        tls: AriTls | None = None,
        backoff: Backoff = BACKOFF,
        connection: type[DialledConnection] = DialledConnection,
    ) -> None:
        """Create a socket; `connections` opens it.

        Args:
            url: the URL of ARI's events, without a query.
            applications: the Stasis applications to subscribe.
            credentials: asked for each connection.
            origin: the value of the Origin header; '' for no such header.
            subscribe_all: whether to subscribe the events of all other objects, too.
            tls: of a wss URL; None for the system's authorities.
            backoff: the pauses between failed attempts.
            connection: the library's class of a connection.
        """
        self.applications = applications
        #: The fault of Asterisk's certificate at the last attempt, or ''.
        self.untrusted = ""
        self._events = url
        self._subscribe_all = subscribe_all
        self._left: frozenset[str] = frozenset()
        self._credentials = credentials
        self._origin = origin
        self._tls = tls or AriTls()
        self._backoff = backoff
        self._connection = connection
        self._attempt = 0
        self._generation = 0

    @property
    def is_queued(self) -> bool:
        """False: Asterisk sends no events of the time without a websocket."""
        return False

    def leave(self, applications: Collection[str]) -> None:
        """Have the next connection leave some applications to their clients (EventSource)."""
        self._left = frozenset(applications)

    @property
    def _url(self) -> str:
        wanted = [name for name in self.applications if name not in self._left]
        query = {"app": ",".join(wanted)}
        if self._subscribe_all:
            query["subscribeAll"] = "true"
        return f"{self._events}?{urlencode(query, safe=',')}"

    async def read(self, connection: MessageConnection, take: Callable[[bytes], None]) -> None:
        """Pass on the events of a connection, undecoded, until the connection has ended."""
        await connection.read(take)

    def end(self) -> None:
        """End the present iterations after the connections that they have."""
        self._generation += 1

    async def connections(self) -> AsyncGenerator[DialledConnection, None]:
        """Yield open connections, one after another, without end.

        The next one is opened when the caller asks for it; a caller that stops closes the
        generator. Failed attempts are logged and repeated after a back-off: a booting Asterisk
        refuses connections, then answers 404 and 503.
        """
        loop = asyncio.get_running_loop()
        generation = self._generation
        self._left = frozenset()  # A former iteration may have ended before its next connection.
        while generation == self._generation:
            connection = await self._open()
            if connection is not None:
                opened_at = loop.time()
                try:
                    yield connection
                finally:
                    await close(connection)
                if loop.time() - opened_at > STABLE_SECONDS:
                    self._attempt = 0
            self._attempt += 1
            await asyncio.sleep(self._backoff.seconds(self._attempt))

    async def connect(self) -> DialledConnection:
        """Open one connection.

        Raises:
            OSError, TimeoutError, EOFError, WebSocketException: the attempt failed.
        """
        return await self._connect(self._credentials.current())

    async def _connect(self, credentials: Credentials) -> DialledConnection:
        security = self._security()  # It may fail: before there is a socket.
        server = urlsplit(self._events)
        port = server.port or (443 if server.scheme == "wss" else 80)
        try:
            async with asyncio.timeout(OPEN_SECONDS):
                sock = await happy_eyeballs.connected(server.hostname or "", port)
                return await self._upgrade(sock, credentials, security)
        except TimeoutError as error:
            raise TimeoutError(f"no websocket within {OPEN_SECONDS:g} s") from error

    async def _upgrade(
        self, sock: socket.socket, credentials: Credentials, security: dict[str, Any]
    ) -> DialledConnection:
        headers = {"Authorization": credentials.authorization}
        if self._origin:
            headers["Origin"] = self._origin
        try:
            connection = await websockets_client.connect(
                self._url,
                create_connection=self._connection,
                sock=sock,
                additional_headers=headers,
                subprotocols=[Subprotocol("ari")],
                compression=None,  # Asterisk has no permessage-deflate.
                user_agent_header=None,
                proxy=None,
                **security,
                open_timeout=None,  # The caller's covers the connecting, too.
                ping_interval=PING_SECONDS,
                ping_timeout=PONG_SECONDS,
                close_timeout=1,
                max_size=MAX_FRAME_BYTES,
            )
        except ValueError as error:  # A redirect, which would need another socket.
            sock.close()
            raise InvalidHandshake(str(error)) from error
        except BaseException:
            sock.close()
            raise
        return cast("DialledConnection", connection)

    async def explained(self, error: BaseException) -> str:
        """Return the fault of Asterisk's certificate that made a connection fail, or ''."""
        url = urlsplit(self._url)
        return await self._tls.explained(error, url.hostname or "", url.port)

    def _security(self) -> dict[str, Any]:
        """Return the arguments for TLS; the library rejects them for a ws URL."""
        if not self._url.startswith("wss:"):
            return {}
        name = self._tls.server_name
        named = {"server_hostname": name} if name else {}
        return {"ssl": self._tls.context(), **named}

    async def _open(self) -> DialledConnection | None:
        credentials = self._credentials.current()
        try:
            connection = await self._connect(credentials)
        except (OSError, WebSocketException, TimeoutError, EOFError) as error:
            self.untrusted = await self.explained(error)
            reason = self.untrusted or str(error) or repr(error)
            _log.warning("websocket.refused", url=self._url, error=reason)
            if isinstance(error, InvalidStatus) and error.response.status_code == _UNAUTHORIZED:
                # The next attempt has newer ones, if there are any.
                self._credentials.refused(credentials)
            return None
        self.untrusted = ""
        self._left = frozenset()
        return connection


async def close(connection: MessageConnection) -> None:
    """Close a connection, with the closing handshake unless cancelled."""
    try:
        with contextlib.suppress(ConnectionClosed):
            await connection.close()
    finally:
        connection.transport.abort()  # The library leaves it open when it is cancelled.


def reason_of_end(connection: MessageConnection) -> EndReason:
    """Return why a connection has ended (RFC 6455 §7.4.1)."""
    sent = connection.protocol.close_sent
    if sent is not None and sent.code == CloseCode.INTERNAL_ERROR:
        return "ping_timeout"  # The library sends this code when no pong has come.
    return "closed" if connection.close_code in _ORDERLY else "lost"
