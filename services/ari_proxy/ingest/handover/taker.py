"""The new ingest's side of a hand-over: asks for the dialogs. `giver.py` describes the protocol."""

import asyncio
from typing import Final

import msgspec
import structlog

from ari_proxy.bus.base import Bus
from ari_proxy.bus.errors import BusError, NoRespondersError
from ari_proxy.protocol import ids, topics
from ari_proxy.protocol.ids import ServerId
from ari_proxy.protocol.malformed import UNDECODABLE

from .giver import ANSWER_SECONDS, SILENCE_SECONDS, HandoverRefusedError
from .messages import GOES_ON, HandoverRequest, Record, SnapshotPage

_log = structlog.get_logger()

#: Seconds for another successor to finish its take-over, or to count as dead.
BUSY_SECONDS: Final = SILENCE_SECONDS + 0.5
#: Seconds between two requests meanwhile.
BUSY_PAUSE_SECONDS: Final = 0.2
_page_decoder = msgspec.json.Decoder(SnapshotPage)


class HandoverSnapshot:
    """The dialogs that a new ingest was given."""

    def __init__(self) -> None:
        self.records: list[Record] = []
        #: Unix time since which events may be missing (or UNKNOWN); None if none are.
        self.gap_since: float | None = None

    def add(self, page: SnapshotPage) -> None:
        """Append a page; the gap of the last one counts."""
        self.records += page.records
        self.gap_since = page.gap_since


class HandoverTaker:
    """Fetches the dialogs of the ingest that was active until now."""

    def __init__(self, bus: Bus, server: ServerId) -> None:
        self._bus = bus
        self._topic = topics.hand_over(server)
        #: Identifies this taker in all its requests.
        self._name = ids.random_id(ids.TOKEN_LENGTH)

    async def take(self) -> HandoverSnapshot | None:
        """Return the dialogs, or None if there is no active ingest.

        An ingest that does not answer, or not in time, counts as none, and is told so.
        """
        try:
            return await self._fetch_all()
        except NoRespondersError:
            return None
        except (BusError, *UNDECODABLE) as error:
            _log.warning("hand_over.failed", error=str(error))
        except HandoverRefusedError as error:
            _log.warning("hand_over.refused", error=str(error))
        self._bus.publish(self._topic, self._request(GOES_ON))
        return None

    async def _fetch_all(self) -> HandoverSnapshot:
        snapshot = HandoverSnapshot()
        page = await self._fetch_first()
        number = 0
        while True:
            if page.error:
                raise HandoverRefusedError(page.error)
            snapshot.add(page)
            if page.is_last:
                return snapshot
            number += 1
            page = await self._fetch(number)

    async def _fetch_first(self) -> SnapshotPage:
        """Return the first page, once the giver is neither handing nor taking over otherwise."""
        loop = asyncio.get_running_loop()
        give_up_at = loop.time() + BUSY_SECONDS
        page = await self._fetch(0)
        while page.is_busy and loop.time() < give_up_at:
            await asyncio.sleep(BUSY_PAUSE_SECONDS)
            try:
                page = await self._fetch(0)
            except NoRespondersError:
                continue  # The former ingest has finished, its successor does not listen yet.
        return page

    async def _fetch(self, number: int) -> SnapshotPage:
        answer = await self._bus.request(
            self._topic, self._request(number), timeout_seconds=ANSWER_SECONDS
        )
        return _page_decoder.decode(answer)

    def _request(self, page: int) -> bytes:
        return msgspec.json.encode(HandoverRequest(by=self._name, page=page))
