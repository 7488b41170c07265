"""Asterisk's objects, fetched by REST: its channels, bridges and version."""

import asyncio
from collections.abc import Callable, Collection
from typing import Final, TypeVar
from urllib.parse import quote, urlencode

import structlog

from ari_proxy.aio import first_leaf
from ari_proxy.ari import snapshot as asterisk
from ari_proxy.ari.client import AriClient
from ari_proxy.ari.errors import TransportError
from ari_proxy.ari.snapshot import DIALOG_VARIABLE, Information, Snapshot
from ari_proxy.protocol.malformed import UNDECODABLE

_log = structlog.get_logger()

T = TypeVar("T")
#: Seconds between attempts to get a snapshot.
RETRY_SECONDS: Final = 0.2
#: Deadline of each request.
REQUEST_SECONDS: Final = 5.0
_OK: Final = 200


class _NoAnswerError(Exception):
    """Asterisk refuses to describe what it has."""


class AsteriskFetch:
    """Fetches what one Asterisk has."""

    def __init__(self, rest: AriClient, applications: Collection[str] = ()) -> None:
        """Make a fetch that has asked nothing.

        Args:
            rest: the client of Asterisk.
            applications: those whose claimed channels matter.
        """
        self._rest = rest
        self._applications = applications
        #: Asterisk's, with the last snapshot; '' while it is not known.
        self.version = ""

    async def snapshot(self) -> Snapshot:
        """Return a snapshot; waits as long as Asterisk does not answer."""
        while True:
            try:
                return await self._get_all()
            except (_NoAnswerError, TransportError, *UNDECODABLE) as error:
                _log.debug("snapshot.failed", error=str(error))
            await asyncio.sleep(RETRY_SECONDS)

    async def identified(self, snapshot: Snapshot, channels: Collection[str]) -> Snapshot | None:
        """Return a snapshot, completed by the dialogs in channels' variables.

        Args:
            snapshot: as it was fetched.
            channels: those of which nothing else names the dialog.

        Returns:
            None if Asterisk does not answer; then the snapshot may be outdated.
        """
        # In a task of its own: a group whose child fails forgets a cancellation (Python 3.11).
        async with asyncio.TaskGroup() as tasks:
            asking = tasks.create_task(self._try_to_identify(snapshot, channels))
        return asking.result()

    async def channel_ids(self) -> Collection[str] | None:
        """Return the ids of all channels, or None if Asterisk does not answer."""
        try:
            return asterisk.channels(await self._get("/channels"))
        except (_NoAnswerError, TransportError, *UNDECODABLE) as error:
            _log.debug("channels.unknown", error=str(error))
            return None

    async def object_ids(self) -> set[str] | None:
        """Return the ids of all channels and bridges, or None if Asterisk does not answer."""
        try:
            # Nothing waits for these: they have all the time that a request may take.
            channels = asterisk.channels(await self._get("/channels", timeout_seconds=None))
            bridges = asterisk.bridges(await self._get("/bridges", timeout_seconds=None))
        except (_NoAnswerError, TransportError, *UNDECODABLE) as error:
            _log.debug("dialogs.empty_unknown", error=str(error))
            return None
        return {*channels, *bridges}

    async def _try_to_identify(
        self, snapshot: Snapshot, channels: Collection[str]
    ) -> Snapshot | None:
        identified = None
        try:
            async with asyncio.TaskGroup() as tasks:
                # As many go out at once as the client has connections.
                answers = {name: tasks.create_task(self._dialog_of(name)) for name in channels}
            dialogs = {name: task.result() for name, task in answers.items()}
            identified = snapshot.with_dialogs(dialogs)
        except* (_NoAnswerError, TransportError, *UNDECODABLE) as errors:
            _log.debug("snapshot.failed", error=str(first_leaf(errors)))
        return identified

    async def _get_all(self) -> Snapshot:
        channels = asterisk.channels(await self._get("/channels"))
        if any(state.is_broadcast for state in channels.values()):
            answer = await self._get("/applications")
            channels = asterisk.claimed(channels, answer, self._applications)
        nothing: dict[str, tuple[str, ...]] = {}
        bridges = await self._optional("/bridges", asterisk.bridges, nothing)
        information = await self._optional(
            "/asterisk/info?only=status,system", asterisk.information, Information()
        )
        self.version = information.system.version
        return Snapshot(channels, bridges, information.status.startup_time, self.version)

    async def _optional(self, path: str, read: Callable[[str], T], default: T) -> T:
        """Return an answer, or a default: without it less is known, but no call waits."""
        try:
            return read(await self._get(path))
        except (_NoAnswerError, *UNDECODABLE) as error:
            _log.debug("snapshot.incomplete", path=path, error=str(error))
            return default

    async def _dialog_of(self, channel: str) -> str:
        query = urlencode({"variable": DIALOG_VARIABLE})
        path = f"/channels/{quote(channel, safe='')}/variable?{query}"
        answer = await self._rest.request("GET", path, timeout_seconds=REQUEST_SECONDS)
        return asterisk.variable(answer.body) if answer.status == _OK else ""

    async def _get(self, path: str, *, timeout_seconds: float | None = REQUEST_SECONDS) -> str:
        answer = await self._rest.request("GET", path, timeout_seconds=timeout_seconds)
        if answer.status != _OK:
            raise _NoAnswerError(f"Asterisk answers {answer.status} to GET {path}")
        return answer.body
