"""A watcher of one server: requests copies, renews the request, and yields the records."""

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

from .records import MAX_DIALOGS, OpenDialogs, TapRecord, TapRequest

_log = structlog.get_logger()

#: Seconds that one request for copies lasts, and between two requests.
WATCH_SECONDS: Final = 15.0
RENEW_SECONDS: Final = 5.0
#: Seconds for an ingest to answer.
ANSWER_SECONDS: Final = 2.0
#: Records that may wait to be read; those above it are lost and counted.
MAX_WAITING: Final = 10_000
_record_decoder = msgspec.json.Decoder(TapRecord)
_dialogs_decoder = msgspec.json.Decoder(OpenDialogs)


class NobodyServesError(Exception):
    """Neither ingest nor command of a server is on the bus."""

    def __init__(self, server: ServerId) -> None:
        super().__init__(f"neither an ingest nor a command of {server} is on this bus")


class Watcher:
    """Records of one server's messages, in the order of their arrival."""

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
        self._records: asyncio.Queue[TapRecord] = asyncio.Queue(MAX_WAITING)
        #: Records lost because they were not read in time.
        self.lost = 0
        #: Open dialogs with their applications, as ingest has reported them at the beginning; None
        #: without a report, or if there are more than one report holds.
        self.dialogs: dict[str, str] | None = None

    @asynccontextmanager
    async def watching(self) -> AsyncIterator[AsyncIterator[TapRecord]]:
        """Yield the records, for as long as the block lasts.

        Raises:
            NobodyServesError: neither ingest nor command of the server is on the bus.
            BusError: the bus does not answer.
        """
        async with asyncio.TaskGroup() as tasks:
            subscription = await self._bus.subscribe(topics.tap_records(self._server), self._take)
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
        return msgspec.json.encode(TapRequest(self._name, self._watch_seconds, self._dialog_id))

    async def _begin(self) -> None:
        topic = topics.tap_requests(self._server)
        try:
            answer = await self._bus.request(topic, self._ask(), timeout_seconds=ANSWER_SECONDS)
            dialogs = _dialogs_decoder.decode(answer).dialogs
            self.dialogs = dialogs if len(dialogs) < MAX_DIALOGS else None
        except NoRespondersError as error:
            raise NobodyServesError(self._server) from error
        except BusTimeoutError:
            _log.warning("watch.unanswered", server_id=self._server)
        except UNDECODABLE as error:
            _log.warning("watch.answer_malformed", server_id=self._server, error=str(error))

    async def _renew(self) -> None:
        while True:
            await asyncio.sleep(self._renew_seconds)
            self._bus.publish(topics.tap_requests(self._server), self._ask(), once=True)

    def _take(self, message: Message) -> None:
        try:
            record = _record_decoder.decode(message.payload)
        except UNDECODABLE as error:
            _log.warning("copy.malformed", error=str(error))
            return
        if self._dialog_id and record.dialog_id not in {self._dialog_id, ""}:
            return  # Another watcher's.
        try:
            self._records.put_nowait(record)
        except asyncio.QueueFull:
            self.lost += 1

    # Not a generator: that would be finished after a cancelled wait.

    def __aiter__(self) -> AsyncIterator[TapRecord]:
        return self

    async def __anext__(self) -> TapRecord:
        return await self._records.get()
