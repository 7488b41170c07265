"""Asks the recorders of servers for calls, in whichever processes they are."""

import asyncio
from collections.abc import AsyncIterator, Iterable
from typing import Final

import msgspec
import structlog

from ari_proxy.bus.base import Bus
from ari_proxy.bus.errors import BusTimeoutError, NoRespondersError
from ari_proxy.protocol import topics
from ari_proxy.protocol.ids import ServerId
from ari_proxy.protocol.malformed import UNDECODABLE

from .facts import CallFacts, calls_of
from .records import RecordedAnswer, RecordedQuery, RecordedRequest, TapRecord
from .watcher import NobodyServesError

_log = structlog.get_logger()

#: Until no further recorder is expected to give its name, and for one page of one.
NAME_SECONDS: Final = 1.0
PAGE_SECONDS: Final = 5.0
#: Recorders of one server, and pages of one recorder: more than there may be.
MAX_RECORDERS: Final = 64
MAX_PAGES: Final = 1_000
#: Servers that are asked at once; each takes NAME_SECONDS.
MAX_ASKED: Final = 50
_answer_decoder: Final = msgspec.json.Decoder(RecordedAnswer)


class RecordedCalls:
    """The calls that ingest and command of one server have kept.

    Each process has seen a part of a call's messages. Any of those that a request reaches may give
    its name first, and is asked alone from then on.
    """

    def __init__(self, bus: Bus, server: ServerId, *, name_seconds: float = NAME_SECONDS) -> None:
        self._bus = bus
        self._server = server
        self._name_seconds = name_seconds

    async def calls(self) -> list[CallFacts]:
        """Return the facts of all calls, in the order in which they began.

        Raises:
            NobodyServesError: neither ingest nor command of the server is on the bus.
            BusError: the bus does not answer.
        """
        return calls_of([facts async for answer in self._pages() for facts in answer.calls])

    async def records(self, dialog_id: str) -> list[TapRecord]:
        """Return the records of one dialog in the order of their times; [] if nobody has any.

        Raises:
            NobodyServesError: neither ingest nor command of the server is on the bus.
            BusError: the bus does not answer.
        """
        found = [record async for page in self._pages(dialog_id) for record in page.records]
        return sorted(found, key=lambda record: record.at)

    async def _pages(self, dialog_id: str = "") -> AsyncIterator[RecordedAnswer]:
        for source in await self._recorders():
            position = 0
            for _ in range(MAX_PAGES):
                query = RecordedQuery(source=source, dialog_id=dialog_id, position=position)
                answer = await self._ask(query, PAGE_SECONDS)
                if answer is None:
                    _log.warning("recorder.unanswered", server_id=self._server, recorder=source)
                    break
                yield answer
                position = answer.position
                if not position:
                    break
            else:
                _log.warning("recorder.endless", server_id=self._server, recorder=source)

    async def _recorders(self) -> list[str]:
        """Return the names of those that answer."""
        known: list[str] = []
        while len(known) < MAX_RECORDERS:
            query = RecordedQuery(known=tuple(known))
            answer = await self._ask(query, self._name_seconds)
            if answer is None:
                break
            known.append(answer.source)
        else:
            _log.warning("recorder.too_many", server_id=self._server, recorders=len(known))
        return known

    async def _ask(self, query: RecordedQuery, seconds: float) -> RecordedAnswer | None:
        topic, request = topics.tap_requests(self._server), RecordedRequest(query)
        try:
            answer = await self._bus.request(
                topic, msgspec.json.encode(request), timeout_seconds=seconds
            )
            return _answer_decoder.decode(answer)
        except NoRespondersError as error:
            raise NobodyServesError(self._server) from error
        except BusTimeoutError:
            return None
        except UNDECODABLE as error:
            _log.warning("recorder.malformed", server_id=self._server, error=str(error))
            return None


async def calls_of_servers(bus: Bus, servers: Iterable[str]) -> list[CallFacts]:
    """Return the calls of servers, MAX_ASKED of which are asked at once.

    Raises:
        NobodyServesError: no process of any of them is on the bus.
        ExceptionGroup: of BusErrors; the bus does not answer.
    """
    names = list(dict.fromkeys(servers))
    found: list[CallFacts] = []
    absent: list[NobodyServesError] = []
    at_once = asyncio.Semaphore(MAX_ASKED)

    async def ask(server: str) -> None:
        async with at_once:
            try:
                found.extend(await RecordedCalls(bus, ServerId(server)).calls())
            except NobodyServesError as error:
                _log.warning("calls.absent", server_id=server, error=str(error))
                absent.append(error)

    async with asyncio.TaskGroup() as tasks:
        for name in names:
            tasks.create_task(ask(name))
    if absent and len(absent) == len(names):
        raise absent[0]
    return found
