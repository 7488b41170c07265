"""The events websocket that Asterisk opens, which carries REST requests, too.

Asterisk sends what has queued while there was no websocket, then ApplicationRegistered, then what
is new; answers stand between the events. So Asterisk needs no open port.
"""

import asyncio
from collections.abc import AsyncGenerator, Callable, Collection
from typing import Final

from . import rest_frames
from .client import MAX_ANSWER_BYTES, Answer, limited
from .errors import AriTimeoutError, NeedsHttpError, UnreachableError
from .listener_path import ListenerPath
from .message_connection import MessageConnection
from .rest_socket import (
    MAX_PENDING,
    BrokenSocketError,
    FrameTooLargeError,
    NotSentError,
    RefusedSocketError,
    RestSocket,
)


class OutboundEvents:
    """The events of one Asterisk that connects to us, and a client that sends it requests."""

    #: A certificate that is refused stands in the log.
    untrusted: Final = ""
    is_queued: Final = True

    def __init__(self, path: ListenerPath, *, timeout_seconds: float) -> None:
        """Initialise without a connection.

        Args:
            path: where Asterisk connects to.
            timeout_seconds: the default deadline of a request.
        """
        self._path = path
        self._timeout = timeout_seconds
        #: The others would only wait at Asterisk.
        self._slots = asyncio.Semaphore(MAX_PENDING)
        self._requests: RestSocket | None = None

    # Events

    @property
    def applications(self) -> tuple[str, ...]:
        """The Stasis applications of these websockets."""
        return self._path.applications

    def connections(self) -> AsyncGenerator[MessageConnection, None]:
        """Yield open connections, as ListenerPath does."""
        return self._path.connections()

    def end(self) -> None:
        """Accept no further connection: `connections` ends after the present one."""
        self._path.end()

    def leave(self, applications: Collection[str]) -> None:
        """Do nothing: Asterisk opens the connections (EventSource)."""

    async def read(self, connection: MessageConnection, take: Callable[[bytes], None]) -> None:
        """Pass on the events of a connection until it has ended; requests are sent on it."""
        requests = self._requests = RestSocket(connection)

        def take_message(message: bytes) -> None:
            if message.startswith(rest_frames.ANSWER_BEGINNING):
                requests.take(message)
            else:
                take(message)

        try:
            await connection.read(take_message)
        finally:
            requests.give_up()
            self._requests = None

    # Requests

    @property
    def in_flight(self) -> int:
        """The number of requests that Asterisk has not answered yet."""
        return self._requests.pending if self._requests is not None else 0

    async def request(
        self,
        method: str,
        url: str,
        body: str = "",
        *,
        timeout_seconds: float | None = None,
        max_bytes: int = MAX_ANSWER_BYTES,
    ) -> Answer:
        """Send one request as AriClient does; none is sent again."""
        path = url.partition("?")[0]
        if obstacle := rest_frames.obstacle(method, url):
            raise NeedsHttpError(method, path, obstacle)
        is_sent = False
        try:
            async with asyncio.timeout(timeout_seconds or self._timeout), self._slots:
                answer = self._send(method, url, body)
                is_sent = True
                return limited(await answer, method, url, max_bytes)
        except FrameTooLargeError as error:
            raise NeedsHttpError(method, path, rest_frames.TOO_LARGE) from error
        except NotSentError as error:
            what = "Asterisk has no websocket to us, not sent"
            raise UnreachableError(method, path, what, sent=False) from error
        except RefusedSocketError as error:
            what = "Asterisk refuses the user of its websocket (ari.conf: local_ari_user)"
            raise UnreachableError(method, path, what, sent=False) from error
        except BrokenSocketError as error:
            raise UnreachableError(method, path, "the websocket broke", sent=True) from error
        except TimeoutError as error:
            what = "no answer in time" if is_sent else "too many requests, not sent"
            raise AriTimeoutError(method, path, what, sent=is_sent) from error

    def _send(self, method: str, url: str, body: str) -> asyncio.Future[Answer]:
        if self._requests is None:
            raise NotSentError
        return self._requests.send(method, url, body)
