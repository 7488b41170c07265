"""Hand-over: one ingest gives its dialogs to the next one, over the bus, without losing an event.

The new one opens its websocket first; Asterisk tells the old one with ApplicationReplaced, behind
the last event that it gets, and sends everything else to the new one, which holds it back. Then the
new one asks for the dialogs. The old one waits for ApplicationReplaced, ends what it is doing,
waits until the bus has confirmed its last event, and answers. So nothing is lost, doubled or
reordered.

Asked by nobody, an ApplicationReplaced comes from a stranger.
"""

import asyncio
from collections.abc import Awaitable, Callable
from typing import Final

import msgspec
import structlog

from ari_proxy.bus.base import Bus, Message
from ari_proxy.bus.errors import BusError, NoRespondersError
from ari_proxy.protocol import topics
from ari_proxy.protocol.ids import ServerId

from .records import Page, Record, Request

_log = structlog.get_logger()

#: For the old one to answer a request; more than the sum of its own deadlines below.
ANSWER_SECONDS: Final = 4.0
#: For Asterisk to tell the old one that it is replaced.
REPLACED_SECONDS: Final = 1.0
#: For the new one to ask, once Asterisk has told that; who does not is a stranger.
ASKED_SECONDS: Final = 3.0
#: For what waits at the old one's gate to pass.
PASS_SECONDS: Final = 0.4
#: For the old one's attempts under way, then for the bus to confirm its last event.
PAUSE_SECONDS: Final = 1.0
FLUSH_SECONDS: Final = 1.5
_request_decoder = msgspec.json.Decoder(Request)
_page_decoder = msgspec.json.Decoder(Page)


class RefusedError(Exception):
    """The old ingest does not hand over; says why."""


#: Ends everything and returns what there is to hand over; raises RefusedError.
Collect = Callable[[], Awaitable[list[Page]]]


class HandOver:
    """The old one's side."""

    def __init__(self, bus: Bus, collect: Collect, tasks: asyncio.TaskGroup) -> None:
        self._bus = bus
        self._collect = collect
        self._tasks = tasks
        self._taker = ""
        self._pages: asyncio.Task[list[Page]] | None = None
        #: True once a new ingest has asked, whatever became of that.
        self.was_asked = False
        #: Set when the last page is on its way.
        self.done = asyncio.Event()

    def on_request(self, message: Message) -> None:
        """Take the request of a new ingest."""
        try:
            request = _request_decoder.decode(message.payload)
        except (msgspec.DecodeError, UnicodeDecodeError) as error:
            self._answer(message, Page(error=f"this is no request: {error}"))
            return
        if self._taker not in {"", request.by}:
            self._answer(message, Page(error="another one takes over already"))
            return
        if not self._taker:
            self._taker = request.by
            self.was_asked = True
            _log.info("hand_over.asked", by=request.by)
        self._tasks.create_task(self._send(message, request.page))

    async def _send(self, message: Message, number: int) -> None:
        if self._pages is None:
            self._pages = self._tasks.create_task(self._collected())
        pages = await asyncio.shield(self._pages)
        page = pages[number] if 0 <= number < len(pages) else Page(error="there is no such page")
        self._answer(message, page)
        if page.error:
            self._taker, self._pages = "", None
        elif page.is_last:
            self.done.set()

    async def _collected(self) -> list[Page]:
        try:
            return await self._collect()
        except RefusedError as error:
            _log.error("hand_over.refused", error=str(error))
            return [Page(error=str(error))]

    def _answer(self, message: Message, page: Page) -> None:
        if message.reply:
            self._bus.publish(message.reply, msgspec.json.encode(page))


class Taken:
    """What a new ingest was given."""

    def __init__(self) -> None:
        self.records: list[Record] = []
        #: Since when the old one may have missed events, in Unix time.
        self.gap_since: float | None = None


async def take_over(bus: Bus, server: ServerId, by: str) -> Taken | None:
    """Ask the ingest that has been active until now for its dialogs; None if there is none.

    An ingest that does not answer, or not in time, counts as none.

    Args:
        bus: on which both are.
        server: whose dialogs.
        by: who asks; one name, however often.
    """
    taken, page, number = Taken(), Page(is_last=False), 0
    try:
        while not page.is_last:
            request = msgspec.json.encode(Request(by=by, page=number))
            topic = topics.hand_over(server)
            answer = await bus.request(topic, request, timeout_seconds=ANSWER_SECONDS)
            page = _page_decoder.decode(answer)
            taken.records += page.records
            taken.gap_since, number = page.gap_since, number + 1
    except NoRespondersError:
        return None
    except (BusError, msgspec.DecodeError) as error:
        _log.warning("hand_over.failed", error=str(error))
        return None
    if page.error:
        _log.warning("hand_over.refused", error=page.error)
        return None
    return taken
