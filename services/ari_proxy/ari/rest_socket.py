"""REST requests on one open websocket; Asterisk answers them in their order."""

import asyncio
import itertools
import secrets
from collections.abc import Callable
from typing import Final

from websockets.exceptions import ConnectionClosed, InvalidState
from websockets.protocol import State

from ari_proxy.aio import run_until_first

from . import rest_frames
from .client import Answer
from .message_connection import MessageConnection

#: A request that takes longer holds up those behind it: new ones go elsewhere.
STALL_SECONDS: Final = 0.1
#: Requests that may wait for answers on one websocket.
MAX_PENDING: Final = 16
_UNAUTHORIZED: Final = 401
_ID_BITS: Final = 40


class NotSentError(Exception):
    """The websocket has ended: the request was not sent."""


class FrameTooLargeError(Exception):
    """The request's frame is larger than Asterisk takes: it was not sent."""


class RefusedSocketError(Exception):
    """Asterisk refuses the credentials of the websocket: it has not executed the request."""


class BrokenSocketError(Exception):
    """The websocket has ended; whether Asterisk has executed the request is not known."""


class RestSocket:
    """Sends requests on an open websocket and assigns the answers."""

    def __init__(
        self, connection: MessageConnection, answered: Callable[[], None] = lambda: None
    ) -> None:
        """Initialise for an open connection; `answered` is called after each answer."""
        self._connection = connection
        self._loop = asyncio.get_running_loop()
        #: They differ from those of other websockets, also of former ones.
        self._ids = itertools.count(secrets.randbits(_ID_BITS))
        #: In the order of the answers; with the time of each one's sending.
        self._pending: dict[str, tuple[asyncio.Future[Answer], float]] = {}
        self._is_write_due = False
        #: The id of a request that has the websocket to itself, or ''.
        self._alone = ""
        #: True once it takes no further requests: it has ended, or Asterisk, which checks the user
        #: again with each request, refuses that of the websocket.
        self._is_spent = False
        #: Set once nothing is left of a spent one.
        self._over = asyncio.Event()
        self._answered = answered

    @property
    def pending(self) -> int:
        """The number of requests without an answer, also of those that nobody waits for."""
        return len(self._pending)

    def is_free(self, now: float) -> bool:
        """Return whether a request would be answered soon; `now` is the loop's time."""
        if self._is_spent or self._alone:
            return False
        if not self._pending:
            return True
        _, oldest = next(iter(self._pending.values()))
        return len(self._pending) < MAX_PENDING and now - oldest < STALL_SECONDS

    def send(
        self, method: str, url: str, body: str, *, alone: bool = False
    ) -> asyncio.Future[Answer]:
        """Send a request.

        The future has its answer, RefusedSocketError or BrokenSocketError.

        Args:
            method: in upper case.
            url: as of AriClient.
            body: JSON text, or ''.
            alone: whether the websocket is not free until it is answered.

        Raises:
            NotSentError, FrameTooLargeError: it was not sent.
        """
        request_id = str(next(self._ids))
        frame = rest_frames.encode(request_id, method, url, body)
        if len(frame) > rest_frames.MAX_REQUEST_BYTES:
            raise FrameTooLargeError
        try:
            self._connection.protocol.send_text(frame)
        except (ConnectionClosed, InvalidState) as error:
            self._is_spent = True
            raise NotSentError from error
        if not self._is_write_due:
            self._is_write_due = True
            self._loop.call_soon(self._write)
        answer: asyncio.Future[Answer] = self._loop.create_future()
        self._pending[request_id] = answer, self._loop.time()
        if alone:
            self._alone = request_id
        return answer

    def retire(self) -> None:
        """Take no further requests."""
        self._is_spent = True

    async def close(self) -> None:
        """Close the websocket, with the closing handshake; `read` ends."""
        await self._connection.close()

    def _write(self) -> None:
        """Write the frames of one turn of the loop at once: each write is a system call."""
        self._is_write_due = False
        # The library itself writes what is left when the connection closes.
        if self._connection.protocol.state is State.OPEN:
            self._connection.transport.write(b"".join(self._connection.protocol.data_to_send()))

    async def read(self) -> None:
        """Read answers until the websocket has ended, or nothing is left of a refused one."""
        try:
            await run_until_first(self._connection.read(self.take), self._over.wait())
        finally:
            self.give_up()

    def give_up(self) -> None:
        """Note that the websocket has ended: no further answer comes."""
        for request_id in [*self._pending]:
            self._settle(request_id, BrokenSocketError())

    def take(self, frame: bytes) -> None:
        """Take a message of the websocket, as `read` does; others than answers are ignored."""
        decoded = rest_frames.decode(frame)
        if decoded is not None and decoded[0] in self._pending:
            self._take_answer(*decoded)
        if self._is_spent and not self._pending:
            self._over.set()

    def _take_answer(self, request_id: str, given: Answer) -> None:
        # Answers come in order: what is before this one gets none.
        while (first := next(iter(self._pending))) != request_id:
            self._settle(first, BrokenSocketError())
        if given.status == _UNAUTHORIZED:
            self._is_spent = True
            self._settle(request_id, RefusedSocketError())
        else:
            self._settle(request_id, given)
        self._answered()

    def _settle(self, request_id: str, outcome: Answer | Exception) -> None:
        """Pass on what became of a request, if somebody still waits for it."""
        answer, _ = self._pending.pop(request_id)
        if request_id == self._alone:
            self._alone = ""
        if answer.done():
            return
        if isinstance(outcome, Exception):
            answer.set_exception(outcome)
        else:
            answer.set_result(outcome)
