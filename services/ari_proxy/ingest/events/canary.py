"""A canary on the events websocket: a user event that has to come back on it.

REST does not show whether an application has a websocket, and an open one may stay silent: if the
end of an old connection reaches Asterisk just as a new one takes its application, Asterisk 16 and
22 take the application from the new one, too (tests/chaos/test_websocket.py). Each call would then
leave Stasis at once, unnoticed. So ingest makes Asterisk send it a ChannelUserevent
(`POST /events/user/{eventName}`), after each connect and then periodically, and reconnects if none
arrives. The end may be later than the first canary, so the next ones follow soon.
"""

import asyncio
import contextlib
import itertools
from collections.abc import Collection, Iterator
from typing import Final, Literal
from urllib.parse import quote

import msgspec
import structlog

from ari_proxy.ari.client import AriClient
from ari_proxy.ari.errors import TransportError
from ari_proxy.ingest.permit import Permit
from ari_proxy.ingest.publishing.event_counters import EventCounters
from ari_proxy.protocol import ids
from ari_proxy.protocol.malformed import UNDECODABLE

from .own_events import CANARY_NAME
from .replaced import ReplacedApplications

_log = structlog.get_logger()

#: Seconds without any frame after which a connection with a pending canary is silent. Asterisk
#: writes the event before it answers the request.
SILENT_SECONDS: Final = 1.0
#: Seconds after which it is silent in spite of other frames: more than any backlog takes.
OVERDUE_SECONDS: Final = 30.0
#: Between the first two canaries of a connection.
_SOON_SECONDS: Final = 1.0
_REQUEST_SECONDS: Final = 5.0
_OK: Final = 200
_NO_CONTENT: Final = 204
_NOT_FOUND: Final = 404


#: What became of a canary.
_Verdict = Literal["arrived", "silent", "unknown"]


class _Application(msgspec.Struct, frozen=True):
    """The event filter of an application, from `GET /applications/{name}`."""

    events_allowed: tuple[object, ...] = ()
    events_disallowed: tuple[object, ...] = ()


def is_unknown(status: int, body: str) -> bool:
    """Return whether no client has an application, by the answer to `GET /applications/{name}`."""
    return status == _NOT_FOUND and "Application not found" in body  # Others answer 404, too.


def is_conclusive(status: int, body: str) -> bool:
    """Return whether a missing canary proves that an application is silent.

    Args:
        status: of `GET /applications/{name}`; 404 if no client has registered it.
        body: of the same answer. An event filter may suppress the canary: that proves nothing.
    """
    if status == _NOT_FOUND:
        return is_unknown(status, body)
    try:
        application = msgspec.json.decode(body, type=_Application)
    except UNDECODABLE:
        return False
    is_filtered = application.events_allowed or application.events_disallowed
    return status == _OK and not is_filtered


def pauses(every_seconds: float) -> Iterator[float]:
    """Yield the seconds between the canaries of a connection: ever longer, up to a maximum."""
    growing = (_SOON_SECONDS * 2**number for number in itertools.count())
    yield from itertools.takewhile(lambda seconds: seconds < every_seconds, growing)
    yield from itertools.repeat(every_seconds)


class EventCanary:
    """Sends canaries through one connection after another."""

    def __init__(
        self,
        rest: AriClient,
        applications: Collection[str],
        *,
        every_seconds: float,
        counters: EventCounters,
        permit: Permit,
        silent_seconds: float = SILENT_SECONDS,
    ) -> None:
        """Make a canary for an active ingest.

        Args:
            rest: sends the canaries.
            applications: the names of those that get one.
            every_seconds: between canaries at most; 0 for none.
            counters: show whether any frames arrive.
            permit: to be active. Without it the events may rightly go to another ingest, and a new
                connection would take them from it.
            silent_seconds: without any frame, after which a connection with a pending canary is
                silent.
        """
        self._silent_seconds = silent_seconds
        self._rest = rest
        self._applications = applications
        self._every_seconds = every_seconds
        self._counters = counters
        self._permit = permit
        self._refused: set[str] = set()
        self._name = ""
        self._pending: dict[str, asyncio.Event] = {}

    def on_event(self, application: str, text: str) -> None:
        """Handle a canary event; another ingest's proves nothing."""
        pending = self._pending.get(application)
        if pending is not None and f'"eventname":"{self._name}"' in text:
            pending.set()

    async def until_silent(self, replaced: Collection[str]) -> str:
        """Return the first application that turns out to be silent; never, if none does.

        Args:
            replaced: applications that another client has taken, with their events.
        """
        if not self._every_seconds:
            await asyncio.get_running_loop().create_future()
        waits = pauses(self._every_seconds)
        while True:
            self._name = f"{CANARY_NAME}.{ids.random_id(ids.TOKEN_LENGTH)}"
            for application in self._applications:
                is_silent = application not in replaced and await self._is_silent(application)
                # It may have been taken meanwhile.
                if is_silent and application not in replaced and self._permit.is_valid():
                    return application
            await asyncio.sleep(next(waits))

    async def watch(self, replaced: ReplacedApplications) -> None:
        """Note which applications another client has, until cancelled.

        Asterisk connects to us: a new connection would not get an application back. It comes back
        when Asterisk sets its websocket up anew.
        """
        if not self._every_seconds:
            return
        waits = pauses(self._every_seconds)
        while True:
            self._name = f"{CANARY_NAME}.{ids.random_id(ids.TOKEN_LENGTH)}"
            for application in self._applications:
                was_replaced = application in replaced.names
                verdict = await self._verdict(application)
                if verdict == "silent" and self._permit.is_valid():
                    replaced.note_silent(application)
                elif verdict == "arrived" and was_replaced:
                    replaced.restore(application)
            await asyncio.sleep(next(waits))

    async def arrive(self, timeout_seconds: float) -> bool:
        """Return whether a canary of each application has arrived in time.

        Asterisk sends an application's events one after another. So all that it had begun to send
        has gone out by then, on whichever connection.
        """
        if not self._every_seconds:
            return False
        self._name = f"{CANARY_NAME}.{ids.random_id(ids.TOKEN_LENGTH)}"
        try:
            async with asyncio.timeout(timeout_seconds), asyncio.TaskGroup() as tasks:
                arrivals = [tasks.create_task(self._arrival(a)) for a in self._applications]
        except TimeoutError:
            return False
        return all(arrival.result() for arrival in arrivals)

    async def _arrival(self, application: str) -> bool:
        with self._awaited(application) as pending, contextlib.suppress(TransportError):
            if await self._send(application) == _NO_CONTENT:
                return await pending.wait()
        return False

    @property
    def is_enabled(self) -> bool:
        """Whether there are canaries."""
        return bool(self._every_seconds)

    async def _is_silent(self, application: str) -> bool:
        return await self._verdict(application) == "silent"

    async def _verdict(self, application: str) -> _Verdict:
        with self._awaited(application) as pending:
            try:
                # One that is not found may be about to be registered.
                if await self._send(application) not in {_NO_CONTENT, _NOT_FOUND}:
                    return "unknown"
                if await self._arrives(pending):
                    return "arrived"
                path = f"/applications/{quote(application, safe='')}"
                is_known = is_conclusive(*await self._request("GET", path))
            except TransportError as error:
                _log.debug("proof.failed", application=application, error=str(error))
                return "unknown"
        return "silent" if is_known else "unknown"

    @contextlib.contextmanager
    def _awaited(self, application: str) -> Iterator[asyncio.Event]:
        """Yield an event that is set once the canary of an application has arrived."""
        pending = self._pending[application] = asyncio.Event()
        try:
            yield pending
        finally:
            del self._pending[application]

    async def _send(self, application: str) -> int:
        """Have Asterisk send a canary; return the status."""
        path = f"/events/user/{self._name}?application={quote(application, safe='')}"
        status, _ = await self._request("POST", path)
        if status not in {_NO_CONTENT, _NOT_FOUND}:
            self._note_refusal(application, status)
        return status

    def _note_refusal(self, application: str, status: int) -> None:
        if application not in self._refused:
            self._refused.add(application)
            # 403 for a user that is read-only in ari.conf.
            _log.warning("proof.refused", application=application, status=status)

    async def _request(self, method: str, path: str) -> tuple[int, str]:
        answer = await self._rest.request(method, path, timeout_seconds=_REQUEST_SECONDS)
        return answer.status, answer.body

    async def _arrives(self, pending: asyncio.Event) -> bool:
        """Wait for a canary while other frames arrive; return whether it has arrived."""
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(OVERDUE_SECONDS):
                before = -1
                while not pending.is_set() and before != self._counters.received_bytes:
                    before = self._counters.received_bytes
                    with contextlib.suppress(TimeoutError):
                        async with asyncio.timeout(self._silent_seconds):
                            await pending.wait()
        return pending.is_set()
