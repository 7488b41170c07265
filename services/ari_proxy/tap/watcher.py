"""Watches one server: asks for copies, again and again, and hands them over."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Final

import msgspec
import structlog

from ari_proxy.bus.base import Bus, Message
from ari_proxy.bus.errors import BusTimeoutError, NoRespondersError
from ari_proxy.protocol import ids, topics
from ari_proxy.protocol.ids import ServerId
from ari_proxy.protocol.malformed import UNDECODABLE

from .copies import MAX_DIALOGS, Copy, Watch, Watched

_log = structlog.get_logger()

#: Seconds for which copies are asked for, and between two times of asking.
WATCH_SECONDS: Final = 15.0
RENEW_SECONDS: Final = 5.0
#: Seconds for an ingest to answer.
ANSWER_SECONDS: Final = 2.0
#: Copies that may wait to be read; those above it are lost, and counted.
MAX_WAITING: Final = 10_000
_copy_decoder = msgspec.json.Decoder(Copy)
_watched_decoder = msgspec.json.Decoder(Watched)


class NobodyServesError(Exception):
    """There is neither an ingest nor a command of a server on the bus."""


class Watcher:
    """Copies of one server's messages, in the order in which they come."""

    def __init__(
        self,
        bus: Bus,
        server: ServerId,
        dialog_id: str = "",
        *,
        watch_seconds: float = WATCH_SECONDS,
        renew_seconds: float = RENEW_SECONDS,
    ) -> None:
        self._watch_seconds = watch_seconds
        self._renew_seconds = renew_seconds
        self._bus = bus
        self._server = server
        self._dialog_id = dialog_id
        self._name = ids.random_id(ids.TOKEN_LENGTH)
        self._copies: asyncio.Queue[Copy] = asyncio.Queue(MAX_WAITING)
        #: Lost because nobody read them in time.
        self.lost = 0
        #: Open dialogs and their applications, as the ingest told at the beginning; None if it did
        #: not, or has more than it can tell.
        self.dialogs: dict[str, str] | None = None

    @asynccontextmanager
    async def watching(self) -> AsyncIterator[AsyncIterator[Copy]]:
        """Yield the copies, for as long as the block lasts.

        Raises:
            NobodyServesError: no process of the server is on the bus.
            BusError: the bus does not answer.
        """
        async with asyncio.TaskGroup() as tasks:
            subscription = await self._bus.subscribe(topics.copies(self._server), self._take)
            try:
                await self._begin()
                renewing = tasks.create_task(self._renew())
                try:
                    yield self
                finally:
                    renewing.cancel()
            finally:
                await subscription.unsubscribe()

    def _ask(self) -> bytes:
        return msgspec.json.encode(Watch(self._name, self._watch_seconds, self._dialog_id))

    async def _begin(self) -> None:
        topic = topics.watching(self._server)
        try:
            answer = await self._bus.request(topic, self._ask(), timeout_seconds=ANSWER_SECONDS)
            dialogs = _watched_decoder.decode(answer).dialogs
            self.dialogs = dialogs if len(dialogs) < MAX_DIALOGS else None
        except NoRespondersError as error:
            raise NobodyServesError(
                f"neither an ingest nor a command of {self._server} is on this bus"
            ) from error
        except BusTimeoutError:
            _log.warning("watch.unanswered", server_id=self._server)

    async def _renew(self) -> None:
        while True:
            await asyncio.sleep(self._renew_seconds)
            self._bus.publish(topics.watching(self._server), self._ask(), once=True)

    def _take(self, message: Message) -> None:
        try:
            copy = _copy_decoder.decode(message.payload)
        except UNDECODABLE as error:
            _log.warning("copy.malformed", error=str(error))
            return
        if self._dialog_id and copy.dialog_id not in {self._dialog_id, ""}:
            return  # Another watcher's.
        try:
            self._copies.put_nowait(copy)
        except asyncio.QueueFull:
            self.lost += 1

    # No generator: that would be over after a wait that was given up.

    def __aiter__(self) -> AsyncIterator[Copy]:
        return self

    async def __anext__(self) -> Copy:
        return await self._copies.get()
