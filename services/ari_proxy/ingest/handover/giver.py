"""Hand-over: one ingest gives its dialogs to the next one, over the bus, without losing an event.

The new one opens its websocket first; Asterisk tells the old one with ApplicationReplaced, behind
the last event that it gets, and sends everything else to the new one, which holds it back. Then the
new one asks for the dialogs. The old one waits for ApplicationReplaced, ends what it is doing,
waits until the bus has confirmed its last event, and answers. So nothing is lost, doubled or
reordered.

Asked by nobody, an ApplicationReplaced comes from a stranger.

This is the old one's side; `take_over.py` is the new one's.
"""

import asyncio
import time
from collections.abc import Awaitable, Callable
from typing import Final, NamedTuple

import msgspec
import structlog

from ari_proxy.bus.base import Bus, Message
from ari_proxy.protocol.malformed import UNDECODABLE

from .messages import GOES_ON, HandoverRequest, SnapshotPage

_log = structlog.get_logger()

#: For the old one to answer a request; more than the sum of its own deadlines below.
ANSWER_SECONDS: Final = 4.0
#: Without another request the one that takes over is gone then: it waits no longer for an answer.
SILENCE_SECONDS: Final = ANSWER_SECONDS + 0.5
#: For Asterisk to tell the old one that it is replaced.
REPLACED_SECONDS: Final = 1.0
#: For the new one to ask, once Asterisk has told that; who does not is a stranger.
ASKED_SECONDS: Final = 3.0
#: For what waits at the old one's gate to pass.
PASS_SECONDS: Final = 0.4
#: For the old one's attempts under way, then for the bus to confirm its last event.
PAUSE_SECONDS: Final = 1.0
FLUSH_SECONDS: Final = 1.5
_request_decoder = msgspec.json.Decoder(HandoverRequest)


class HandoverRefusedError(Exception):
    """The old ingest does not hand over; says why."""


class Collected(NamedTuple):
    """What there is to hand over."""

    pages: list[SnapshotPage]
    #: Unix time until which all events are among it; later ones are the business of who asked.
    until: float

    def page(self, number: int, *, is_late: bool) -> SnapshotPage:
        """Return a page, for one that came late: after another one that had asked for it."""
        if not 0 <= number < len(self.pages):
            return SnapshotPage(error="there is no such page")
        page = self.pages[number]
        if is_late and page.gap_since is None:
            return msgspec.structs.replace(page, gap_since=self.until)
        return page


#: Ends everything and returns what there is to hand over; raises HandoverRefusedError.
Collect = Callable[[], Awaitable[Collected]]


class HandoverGiver:
    """Answers one new ingest at a time; if it dies meanwhile, the next one."""

    def __init__(
        self,
        bus: Bus,
        collect: Collect,
        tasks: asyncio.TaskGroup,
        clock: Callable[[], float] = time.monotonic,
        *,
        silence_seconds: float = SILENCE_SECONDS,
    ) -> None:
        self._bus = bus
        self._collect = collect
        self._tasks = tasks
        self._clock = clock
        self._silence_seconds = silence_seconds
        #: Who takes over, and when it has asked last.
        self._taker = ""
        self._asked_at = 0.0
        self._is_late = False
        self._collecting: asyncio.Task[Collected | str] | None = None
        #: The bus's, when the collecting began.
        self._reconnects = 0
        #: Whether a new ingest has asked, whatever became of that.
        self._was_asked = False
        #: Set when the last page is on its way, or nobody will ask for it any more.
        self.done = asyncio.Event()

    def on_request(self, message: Message) -> None:
        """Take the request of a new ingest."""
        try:
            request = _request_decoder.decode(message.payload)
        except UNDECODABLE as error:
            self._answer(message, SnapshotPage(error=f"this is no request: {error}"))
            return
        if request.page == GOES_ON:
            self._tasks.create_task(self._leave())
        elif self._is_taker(request.by):
            self._asked_at = self._clock()
            self._tasks.create_task(self._send(message, request.page))
        else:
            self._answer(
                message, SnapshotPage(error="another one takes over already", is_busy=True)
            )

    def _is_taker(self, by: str) -> bool:
        """Return whether it is this one that takes over: the first, or after its death another."""
        if self._taker == by:
            return True
        if self._taker:
            if self._clock() - self._asked_at <= self._silence_seconds:
                return False
            if self._bus.reconnects != self._reconnects:
                # It may have told meanwhile that it goes on: what was collected would be old.
                self.done.set()
                return False
            self._is_late = True
        _log.info("hand_over.asked", by=by)
        self._taker, self._was_asked = by, True
        return True

    def note_replaced(self, application: str) -> None:
        """Take that Asterisk has given an application away: to a stranger, if nobody asks soon."""
        loop = asyncio.get_running_loop()
        loop.call_later(ASKED_SECONDS, self._tell_replaced, application)

    def _tell_replaced(self, application: str) -> None:
        if self._was_asked:
            _log.info("application.handed_over", application=application)
        else:
            _log.error("application.replaced", application=application)

    async def _send(self, message: Message, number: int) -> None:
        collected = await self._collected()
        if isinstance(collected, str):
            self._answer(message, SnapshotPage(error=collected))
            return
        page = collected.page(number, is_late=self._is_late)
        self._answer(message, page)
        if page.is_last and not page.error:
            self.done.set()

    async def _leave(self) -> None:
        """End where all was collected: who has the events now goes on without it."""
        if self._collecting is not None and not isinstance(await self._collected(), str):
            self.done.set()

    async def _collected(self) -> Collected | str:
        """Return what there is, or why it is not handed over: then everybody may ask again."""
        if self._collecting is None:
            self._reconnects = self._bus.reconnects
            self._collecting = self._tasks.create_task(self._try_to_collect())
        return await asyncio.shield(self._collecting)

    async def _try_to_collect(self) -> Collected | str:
        try:
            return await self._collect()
        except HandoverRefusedError as error:
            _log.error("hand_over.refused", error=str(error))
            self._taker, self._is_late, self._collecting = "", False, None
            return str(error)

    def _answer(self, message: Message, page: SnapshotPage) -> None:
        if message.reply:
            self._bus.publish(message.reply, msgspec.json.encode(page))
