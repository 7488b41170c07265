"""Hand-over: an ingest gives its dialogs to its successor, over the bus, without losing an event.

The successor opens its websocket first. Asterisk sends ApplicationReplaced to the old ingest, and
the events that follow to the successor, which holds them. An event that a thread of Asterisk was
just sending may reach the old ingest behind ApplicationReplaced (`app_send` of res/stasis/app.c
lets go of the application before it writes). Asterisk sends an application's events one after
another. So the successor waits until it has a canary of its own, and then asks for the dialogs. The
old ingest waits for ApplicationReplaced, reads up to the answer to a ping, stops its work, waits
until the bus has confirmed its last event, and answers. So nothing is lost, doubled or reordered.
Where no canary comes (`ingest.proof_seconds: 0`, a user who may not write, an event filter), an
event that was just being sent may be lost.

Where Asterisk opens the websocket, it keeps the events while there is none. So the successor asks
first, the old ingest closes its websocket and reads it to the end, and the successor accepts the
next one once it has the dialogs.

This is the old ingest's side; `taker.py` is the successor's.
"""

import asyncio
import time
from collections.abc import Awaitable, Callable
from typing import Final, NamedTuple

import msgspec
import structlog

from ari_proxy.bus.base import Bus, Message, SubscriptionHandle
from ari_proxy.clock import Clock
from ari_proxy.ingest.events.replaced import ReplacedApplications
from ari_proxy.protocol.malformed import UNDECODABLE

from .messages import GOES_ON, HandoverRequest, SnapshotPage
from .successor import Successor

_log = structlog.get_logger()

#: Seconds for the old ingest to answer a request; more than the sum of its deadlines below.
ANSWER_SECONDS: Final = 4.0
#: Seconds without a request after which a successor counts as dead: it no longer awaits an answer.
SILENCE_SECONDS: Final = ANSWER_SECONDS + 0.5
#: Seconds for Asterisk to send ApplicationReplaced.
REPLACED_SECONDS: Final = 1.0
#: Seconds for the old ingest to pass on the frames that it holds.
PASS_SECONDS: Final = 0.4
#: Seconds for its attempts under way to end.
PAUSE_SECONDS: Final = 1.0
#: Seconds for the bus to confirm its last event.
FLUSH_SECONDS: Final = 1.5
_request_decoder = msgspec.json.Decoder(HandoverRequest)


class HandoverRefusedError(Exception):
    """The old ingest does not hand over; says why."""


class HandoverFailedError(HandoverRefusedError):
    """The old ingest can't hand over, and it has no applications any more."""


class Collected(NamedTuple):
    """The dialogs to hand over."""

    pages: list[SnapshotPage]
    #: Unix time until which they contain all events; a late successor may miss those that followed.
    until: float

    def page(self, number: int, *, is_late: bool) -> SnapshotPage:
        """Return a page.

        Args:
            number: from 0.
            is_late: whether another successor had asked for the dialogs before.
        """
        if not 0 <= number < len(self.pages):
            return SnapshotPage(error="there is no such page")
        page = self.pages[number]
        if is_late and page.gap_since is None:
            return msgspec.structs.replace(page, gap_since=self.until)
        return page


#: Stops all work on the dialogs and returns them.
#:
#: Raises:
#:     HandoverRefusedError: they stay here.
Collect = Callable[[], Awaitable[Collected]]


class HandoverGiver:
    """Answers one successor at a time, and the next one if it dies meanwhile."""

    def __init__(
        self,
        bus: Bus,
        collect: Collect,
        tasks: asyncio.TaskGroup,
        replaced: ReplacedApplications,
        *,
        clock: Clock = time.monotonic,
        silence_seconds: float = SILENCE_SECONDS,
    ) -> None:
        self._bus = bus
        self._collect = collect
        self._tasks = tasks
        self._replaced = replaced
        self._clock = clock
        self._successor = Successor(silence_seconds=silence_seconds)
        self._collecting: asyncio.Task[Collected | str] | None = None
        #: Of the bus, when the collecting began.
        self._reconnects = 0
        self._done = asyncio.Event()
        self._requests: SubscriptionHandle | None = None

    @property
    def is_done(self) -> bool:
        """True once the last page is on its way, or no successor will ask for it."""
        return self._done.is_set()

    async def wait_done(self) -> None:
        """Return once the last page is on its way, or no successor will ask for it."""
        await self._done.wait()

    async def serve(self, topic: str) -> None:
        """Subscribe to the requests of successors."""
        self._requests = await self._bus.subscribe(topic, self.on_request)

    async def end(self) -> None:
        """Answer no further request."""
        if self._requests is not None:
            await self._requests.unsubscribe()

    def on_request(self, message: Message) -> None:
        """Handle a successor's request."""
        try:
            request = _request_decoder.decode(message.payload)
        except UNDECODABLE as error:
            self._answer(message, SnapshotPage(error=f"this is no request: {error}"))
            return
        if request.page == GOES_ON:
            self._tasks.create_task(self._leave())
        elif self._is_taker(request.by):
            self._successor.note_request(self._clock())
            self._tasks.create_task(self._send(message, request.page))
        else:
            busy = "another ingest is taking over already"
            self._answer(message, SnapshotPage(error=busy, is_busy=True))

    def _is_taker(self, by: str) -> bool:
        """Return whether this successor gets the dialogs: the first, or the next if it died."""
        if self._successor.name == by:
            return True
        if self._successor.name:
            if not self._successor.is_silent(self._clock()):
                return False
            if self._bus.reconnects != self._reconnects:
                # Its message that it goes on alone may be lost: the dialogs would be outdated.
                self._tasks.create_task(self._leave())
                return False
        _log.info("hand_over.asked", by=by)
        self._successor.become(by)
        self._replaced.expect()
        return True

    async def _send(self, message: Message, number: int) -> None:
        collected = await self._collected()
        if isinstance(collected, str):
            self._answer(message, SnapshotPage(error=collected))
            return
        page = collected.page(number, is_late=self._successor.is_late)
        self._answer(message, page)
        if page.is_last and not page.error:
            self._done.set()

    async def _leave(self) -> None:
        """End if the dialogs were collected: the successor has the events, and goes on alone."""
        if self._collecting is not None and not isinstance(await self._collected(), str):
            self._done.set()

    async def _collected(self) -> Collected | str:
        """Return the dialogs, or why they are not handed over; then any successor may ask again."""
        if self._collecting is None:
            if self.is_done:
                return "the dialogs are gone"
            self._reconnects = self._bus.reconnects
            self._collecting = self._tasks.create_task(self._try_to_collect())
        return await asyncio.shield(self._collecting)

    async def _try_to_collect(self) -> Collected | str:
        try:
            return await self._collect()
        except HandoverRefusedError as error:
            _log.error("hand_over.refused", error=str(error))
            if isinstance(error, HandoverFailedError):
                self._done.set()
            self._successor.forget()
            self._collecting = None
            return str(error)

    def _answer(self, message: Message, page: SnapshotPage) -> None:
        if message.reply:
            self._bus.publish(message.reply, msgspec.json.encode(page))
