"""One peer of the listener, from its first byte to the answer to its handshake."""

import asyncio
import ssl
from collections.abc import Callable
from http import HTTPStatus
from typing import Any, Final, cast

from websockets.asyncio.connection import Connection
from websockets.asyncio.server import Server, ServerConnection
from websockets.http11 import Request, Response
from websockets.protocol import State
from websockets.server import ServerProtocol
from websockets.typing import Subprotocol

from .message_connection import MessageConnection
from .websocket import MAX_FRAME_BYTES, PING_SECONDS, PONG_SECONDS

#: Of a handshake's request; Asterisk's has about 300.
MAX_REQUEST_BYTES: Final = 16_384
_END_OF_REQUEST: Final = b"\r\n\r\n"
#: For Asterisk to answer a close frame: all events that it has written come before.
CLOSE_SECONDS: Final = 10.0

#: For Asterisk's first frame, ApplicationRegistered, which an event filter may suppress.
FIRST_FRAME_SECONDS: Final = 0.5


class _AlwaysServing:
    """What a connection of the library wants to know of its server."""

    def is_serving(self) -> bool:
        return True


class Peer(MessageConnection, ServerConnection):
    """A connection that somebody has opened; nothing is known of them yet."""

    def __init__(self) -> None:
        protocol = ServerProtocol(subprotocols=[Subprotocol("ari")], max_size=MAX_FRAME_BYTES)
        super().__init__(
            protocol,
            cast("Server", _AlwaysServing()),
            ping_interval=PING_SECONDS,
            ping_timeout=PONG_SECONDS,
            close_timeout=CLOSE_SECONDS,
        )
        self._request = b""
        #: Done once something has come behind the request.
        self._first_frame: asyncio.Future[None] = self.loop.create_future()

    @property
    def is_open(self) -> bool:
        """True between the handshakes of opening and of closing."""
        return self.protocol.state is State.OPEN

    @property
    def is_refused(self) -> bool:
        """Whether our answer is no; it may yet have to go."""
        answer = self.response
        return answer is not None and answer.status_code != HTTPStatus.SWITCHING_PROTOCOLS

    @property
    def has_spoken(self) -> bool:
        """Whether anything has come."""
        return bool(self._request)

    @property
    def fault(self) -> str:
        """Why the request was no handshake, or ''."""
        error = self.protocol.handshake_exc
        return "" if error is None else str(error) or repr(error)

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Note the transport; without the task that a server of the library would start."""
        Connection.connection_made(self, transport)

    def data_received(self, data: bytes) -> None:
        """Take bytes, few of them before our answer, and none behind the request."""
        if self.protocol.state is State.CONNECTING:
            self._request += data
            behind = self._request.partition(_END_OF_REQUEST)[2]
            if behind or len(self._request) > MAX_REQUEST_BYTES:
                self.transport.abort()
                return
        elif not self._first_frame.done():
            self._first_frame.set_result(None)
        super().data_received(data)

    async def open(self, answer: Callable[[Request], Response | None]) -> None:
        """Answer the handshake; if the websocket is open, ping from then on.

        Asterisk begins with a frame. What we sent before that would come together with our answer:
        then Asterisk reads it, and leaves it until more comes.

        Args:
            answer: returns the refusal of a request, or None to accept it.
        """
        await self.handshake(lambda _, request: answer(request), server_header=None)
        if self.is_open:
            await asyncio.wait(
                [self._first_frame, self.connection_lost_waiter], timeout=FIRST_FRAME_SECONDS
            )
            self.start_keepalive()
        else:
            self.transport.abort()


async def accepted_peer(accepted: Any, tls: ssl.SSLContext | None) -> Peer:
    """Return the peer at the other end of an accepted socket, after the handshake of TLS.

    Raises:
        OSError: that failed.
    """
    loop = asyncio.get_running_loop()
    _, peer = await loop.connect_accepted_socket(Peer, accepted, ssl=tls)
    return peer
