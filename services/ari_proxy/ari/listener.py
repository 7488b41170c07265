"""The server for Asterisk's outbound websockets: Asterisk connects to us (22.5 and newer).

A persistent outbound websocket (websocket_client.conf) is connected from Asterisk's start; while
there is none, events queue at Asterisk. Whatever refuses it, Asterisk connects again: so a path
that nobody waits at answers 503. An unknown peer costs little: few at a time may be without an
answer, each for a short time and with few bytes; of more, the oldest has to go, of the host that
has the most.
"""

import asyncio
import socket
import ssl
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial
from http import HTTPStatus
from typing import Final, Literal

import structlog
from websockets.exceptions import WebSocketException
from websockets.http11 import Request, Response

from ari_proxy import accepting
from ari_proxy.accepting import Acceptor
from ari_proxy.backoff import Backoff
from ari_proxy.log_limit import LogLimit

from . import admission, handshake_faults
from .credentials import CredentialSource
from .listener_path import ListenerPath, Waiter
from .listener_peer import Peer, accepted_peer
from .message_connection import MessageConnection
from .tls import TlsSource

_log = structlog.get_logger()

#: For a peer to open its websocket, TLS included.
OPEN_SECONDS: Final = 5.0
#: Peers that have not opened theirs yet.
MAX_OPENING: Final = 64
#: Lines about refusals for one reason are at least this far apart.
LOG_SECONDS: Final = 1.0
#: The same for those that nobody waits for: a standby refuses again and again, as it should, and an
#: executor that has its websockets refuses the others' and the spare ones.
UNWANTED_LOG_SECONDS: Final = 60.0
#: A former process on this machine may still have the port.
BIND_AGAIN: Final = Backoff(first_seconds=0.1, last_seconds=1.0)
#: Peers that wait in the kernel. Of more it drops those that come, Asterisk among them, which try
#: again after a second.
_BACKLOG: Final = 1024

#: `credentials` are not Asterisk's; `path` is none of ours; `unwanted`: nobody waits at the path;
#: `handshake`: it was none, or took too long, or was one of too many; `not_accepted`: an attempt to
#: accept one failed.
Refusal = Literal["credentials", "path", "unwanted", "handshake", "not_accepted"]
_STATUSES: Final = {
    "credentials": HTTPStatus.UNAUTHORIZED,
    "path": HTTPStatus.NOT_FOUND,
    "unwanted": HTTPStatus.SERVICE_UNAVAILABLE,
}


class Listener:
    """Accepts websockets at the paths that parts of this process have registered."""

    def __init__(
        self,
        address: tuple[str, int],
        credentials: CredentialSource,
        *,
        tls: TlsSource | None = None,
        open_seconds: float = OPEN_SECONDS,
        count_refused: Callable[[Refusal], None] = lambda _: None,
    ) -> None:
        """Create a listener; `run` binds it.

        Args:
            address: its host, by address or name, and its port.
            credentials: those that an Asterisk has to present, unless its path has its own; asked
                for each handshake.
            tls: of the connections; None for none.
            open_seconds: for a peer to open its websocket, TLS included.
            count_refused: called for each refused peer.
        """
        self._address = address
        self._credentials = credentials
        self._tls = tls
        self._open_seconds = open_seconds
        self._refused = _Refused(count_refused)
        self._paths: dict[str, ListenerPath] = {}
        #: By path: those that its Asterisk has to present.
        self._of_paths: dict[str, CredentialSource] = {}
        #: Deadlines of the peers without an answer, the oldest first, and their hosts.
        self._opening: dict[asyncio.Timeout, str] = {}

    def register(
        self,
        path: str,
        applications: tuple[str, ...],
        credentials: CredentialSource | None = None,
    ) -> ListenerPath:
        """Return the websockets that come to a path.

        Args:
            path: like `/server-1/events`; a request may add a query.
            applications: those of its websockets.
            credentials: those that its Asterisk has to present; None for the listener's.
        """
        self._of_paths[path] = credentials or self._credentials
        registered = self._paths[path] = ListenerPath(applications)
        return registered

    async def run(self) -> None:
        """Accept connections until cancelled; waits as long as the address can't be bound."""
        sockets = await self._bind()
        acceptor = Acceptor(partial(self._refused.count, "not_accepted"), _log_not_accepted)
        try:
            async with asyncio.TaskGroup() as tasks:

                def take(accepted: socket.socket, host: str) -> None:
                    tasks.create_task(self._answer(accepted, host))

                for bound in sockets:
                    tasks.create_task(acceptor.run(bound, take))
        finally:
            for bound in sockets:
                bound.close()

    async def _bind(self) -> list[socket.socket]:
        host, port = self._address
        attempt = 0
        while True:
            try:
                sockets = await accepting.listen(host, port, backlog=_BACKLOG)
            except OSError as error:
                attempt += 1
                if attempt == 1:
                    _log.error("ari_listener.not_bound", host=host, port=port, error=str(error))
                await asyncio.sleep(BIND_AGAIN.seconds(attempt))
            else:
                _log.info("ari_listener.bound", host=host, port=port, paths=[*self._paths])
                return sockets

    async def _answer(self, accepted: socket.socket, host: str) -> None:
        """Open the websocket of one peer, or refuse it."""
        peer: Peer | None = None
        try:
            async with asyncio.timeout(self._open_seconds) as deadline:
                with self._counted(deadline, host):
                    peer = await accepted_peer(accepted, self._context())
                    await self._open(peer, host)
        except (TimeoutError, OSError, EOFError, WebSocketException) as error:
            accepted.close()
            if peer is None or not peer.is_refused:
                self._refused.note("handshake", host, error=handshake_faults.explained(error))

    def _context(self) -> ssl.SSLContext | None:
        return self._tls.current() if self._tls is not None else None

    @contextmanager
    def _counted(self, deadline: asyncio.Timeout, host: str) -> Iterator[None]:
        """Count a peer without an answer; of too many one has no more time."""
        self._opening[deadline] = host
        if len(self._opening) > MAX_OPENING:
            [(crowd, _)] = Counter(self._opening.values()).most_common(1)
            oldest = next(of for of, host in self._opening.items() if host == crowd)
            del self._opening[oldest]
            oldest.reschedule(asyncio.get_running_loop().time())
        try:
            yield
        finally:
            self._opening.pop(deadline, None)

    async def _open(self, peer: Peer, host: str) -> None:
        """Answer a peer's handshake; who waits for its websocket closes it."""
        seat = _Seat()
        is_open = False
        try:
            await peer.open(lambda request: self._refusal(request, peer, host, seat))
            is_open = peer.is_open
        finally:
            if not seat.settle(peer if is_open else None):
                peer.transport.abort()
        if peer.request is None and peer.has_spoken:
            self._refused.note("handshake", host, error=peer.fault)
        elif peer.request is None and self._tls is not None:
            self._refused.note("handshake", host, error=handshake_faults.LEFT_AFTER_TLS)

    def _refusal(self, request: Request, peer: Peer, host: str, seat: "_Seat") -> Response | None:
        """Return what refuses a request; None if `seat` has been taken for its websocket."""
        found = self._admitted(request, host)
        if not isinstance(found, ListenerPath):
            return _response(peer, found)
        if seat.take(found):
            return None
        self._refused.note("unwanted", host, path=admission.shown(request.path))
        return _response(peer, "unwanted")

    def _admitted(self, request: Request, host: str) -> ListenerPath | Refusal:
        """Return the path that a request may go to, or why it may not."""
        authorization = ",".join(request.headers.get_all("Authorization"))
        known = {"path": admission.shown(request.path), "user": admission.user_of(authorization)}
        name = request.path.partition("?")[0]
        if not self._is_entitled(authorization, name):
            self._refused.note("credentials", host, **known)
            return "credentials"
        path = self._paths.get(name)
        if path is None:
            self._refused.note("path", host, **known, paths=[*self._paths])
            return "path"
        return path

    def _is_entitled(self, authorization: str, path: str) -> bool:
        """Return whether a peer may know of a path: whoever may use one, that there is no other."""
        own = self._of_paths.get(path)
        sources = (own,) if own is not None else (self._credentials, *self._of_paths.values())
        expected = {source.current().authorization for source in sources}
        return any(admission.are_credentials(authorization, each) for each in expected)


class _Seat:
    """The seat of one websocket with somebody who waits for it."""

    def __init__(self) -> None:
        self._taken: tuple[ListenerPath, Waiter] | None = None

    def take(self, path: ListenerPath) -> bool:
        """Reserve it; return whether there is one."""
        waiter = path.reserve()
        self._taken = (path, waiter) if waiter is not None else None
        return waiter is not None

    def settle(self, connection: MessageConnection | None) -> bool:
        """Hand over a websocket, or give the seat back; return whether somebody has it."""
        if self._taken is None:
            return False
        path, waiter = self._taken
        return path.settle(waiter, connection)


class _Refused:
    """Counts and logs the peers that are refused."""

    def __init__(self, count: Callable[[Refusal], None]) -> None:
        self.count: Final = count
        self._limits: dict[Refusal, LogLimit] = {}

    def note(self, reason: Refusal, host: str, **known: object) -> None:
        """Count a peer, and log what it has sent; of many in a short time only the first."""
        self.count(reason)
        seconds = UNWANTED_LOG_SECONDS if reason == "unwanted" else LOG_SECONDS
        others = self._limits.setdefault(reason, LogLimit(seconds)).others()
        if others is None:
            return
        if reason == "unwanted":
            _log.info("ari_listener.unwanted", host=host, others=others, **known)
        else:
            _log.warning("ari_listener.refused", reason=reason, host=host, others=others, **known)


def _log_not_accepted(error: str, others: int) -> None:
    _log.error("ari_listener.not_accepted", error=error, others=others)


def _response(peer: Peer, refusal: Refusal) -> Response:
    status = _STATUSES[refusal]
    response = peer.respond(status, f"{status.phrase}\n")
    if status is HTTPStatus.UNAUTHORIZED:
        response.headers["WWW-Authenticate"] = 'Basic realm="ari-proxy"'
    return response
