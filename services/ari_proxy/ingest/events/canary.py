"""Proof that the events websocket delivers: a user event that comes back on it.

Nothing in REST tells whether an application has a websocket, and an open one may be silent for
good: where the end of an old connection reaches Asterisk just as a new one takes its application,
Asterisk 16 and 22 take the application from the new one, too (tests/chaos/test_websocket.py). Each
call would leave Stasis at once, and nobody would hear of it. So ingest has Asterisk send a
ChannelUserevent to itself (`POST /events/user/{eventName}`), after each connect and every now and
then, and opens another connection if none comes.
"""

import asyncio
import contextlib
from collections.abc import Callable, Collection
from typing import Final
from urllib.parse import quote

import msgspec
import structlog

from ari_proxy.ari.errors import TransportError
from ari_proxy.ari.rest import RestClient
from ari_proxy.protocol import ids
from ari_proxy.protocol.malformed import UNDECODABLE

_log = structlog.get_logger()

#: Begins the name of each of our user events; they go to no dialog.
EVENT_NAME: Final = "AriProxyProof"
_EVENT_MARK: Final = f'"eventname":"{EVENT_NAME}.'.encode()
#: Seconds without any frame after which a connection that owes a proof is silent. Asterisk writes
#: the event before it answers the request.
SILENT_SECONDS: Final = 1.0
#: Seconds after which it is silent whatever else comes: more than any backlog of frames lasts.
OVERDUE_SECONDS: Final = 30.0
_REQUEST_SECONDS: Final = 5.0
_OK: Final = 200
_NO_CONTENT: Final = 204
_NOT_FOUND: Final = 404


class _Application(msgspec.Struct, frozen=True):
    """What `GET /applications/{name}` tells of an application's event filter."""

    events_allowed: tuple[object, ...] = ()
    events_disallowed: tuple[object, ...] = ()


def is_conclusive(status: int, body: str) -> bool:
    """Return whether an application without a proof is silent, from what Asterisk tells of it.

    Args:
        status: of `GET /applications/{name}`: 404 if it is registered by nobody.
        body: an event filter may hold the user event back; then nothing is known.
    """
    if status == _NOT_FOUND:
        return "Application not found" in body  # Whatever has no such path answers 404, too.
    try:
        application = msgspec.json.decode(body, type=_Application)
    except UNDECODABLE:
        return False
    is_filtered = application.events_allowed or application.events_disallowed
    return status == _OK and not is_filtered


def is_own(frame: bytes) -> bool:
    """Return whether a frame looks like a proof; it need not wait for other events."""
    return _EVENT_MARK in frame


class EventCanary:
    """Asks for proofs on behalf of one connection after another."""

    def __init__(
        self,
        rest: RestClient,
        applications: Collection[str],
        *,
        every_seconds: float,
        received_bytes: Callable[[], int],
        is_permitted: Callable[[], bool] = lambda: True,
        silent_seconds: float = SILENT_SECONDS,
    ) -> None:
        """Make one for a term.

        Args:
            rest: asks Asterisk.
            applications: those that have to prove that their events come.
            every_seconds: between proofs; 0 to ask for none.
            received_bytes: of all frames until now.
            is_permitted: whether it is this ingest's turn. Where it is not, the events may rightly
                come to another one, and a new connection would take them from it.
            silent_seconds: without any frame after which a connection that owes a proof is silent.
        """
        self._silent_seconds = silent_seconds
        self._rest = rest
        self._applications = applications
        self._every_seconds = every_seconds
        self._received_bytes = received_bytes
        self._is_permitted = is_permitted
        self._refused: set[str] = set()
        self._name = ""
        self._owed: dict[str, asyncio.Event] = {}

    def on_event(self, application: str, text: str) -> None:
        """Take a user event of ours; another ingest's proves nothing."""
        owed = self._owed.get(application)
        if owed is not None and f'"eventname":"{self._name}"' in text:
            owed.set()

    async def until_silent(self, replaced: Collection[str]) -> str:
        """Return an application whose events do not come; as long as all do, never.

        Args:
            replaced: applications that another client has taken; theirs come to it.
        """
        if not self._every_seconds:
            await asyncio.get_running_loop().create_future()
        while True:
            self._name = f"{EVENT_NAME}.{ids.random_id(ids.TOKEN_LENGTH)}"
            for application in self._applications:
                is_silent = application not in replaced and await self._is_silent(application)
                # It may have been taken meanwhile.
                if is_silent and application not in replaced and self._is_permitted():
                    return application
            await asyncio.sleep(self._every_seconds)

    async def _is_silent(self, application: str) -> bool:
        owed = self._owed[application] = asyncio.Event()
        path = f"/events/user/{self._name}?application={quote(application, safe='')}"
        try:
            status, _ = await self._request("POST", path)
            if status not in {_NO_CONTENT, _NOT_FOUND}:
                self._note_refusal(application, status)
                return False
            # One that is not found may be about to be registered.
            if await self._comes(owed):
                return False
            path = f"/applications/{quote(application, safe='')}"
            return is_conclusive(*await self._request("GET", path))
        except TransportError as error:
            _log.debug("proof.failed", application=application, error=str(error))
            return False
        finally:
            del self._owed[application]

    def _note_refusal(self, application: str, status: int) -> None:
        if application not in self._refused:
            self._refused.add(application)
            # 403 for a user that is read-only in ari.conf.
            _log.warning("proof.refused", application=application, status=status)

    async def _request(self, method: str, path: str) -> tuple[int, str]:
        answer = await self._rest.request(method, path, timeout_seconds=_REQUEST_SECONDS)
        return answer.status, answer.body

    async def _comes(self, owed: asyncio.Event) -> bool:
        """Wait for a proof as long as anything else comes."""
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(OVERDUE_SECONDS):
                before = -1
                while not owed.is_set() and before != self._received_bytes():
                    before = self._received_bytes()
                    with contextlib.suppress(TimeoutError):
                        async with asyncio.timeout(self._silent_seconds):
                            await owed.wait()
        return owed.is_set()
