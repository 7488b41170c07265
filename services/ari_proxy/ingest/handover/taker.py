"""Take-over: a new ingest gets the dialogs of the one before it. `hand_over.py` tells how.

It happens once in a term and goes on whatever becomes of the connection to Asterisk: the old one
has let go of what it has sent.
"""

import asyncio
from collections.abc import Callable
from typing import Final

import msgspec
import structlog

from ari_proxy.bus.base import Bus, Handler, SubscriptionHandle
from ari_proxy.bus.errors import BusError, NoRespondersError
from ari_proxy.protocol import ids, topics
from ari_proxy.protocol.ids import ServerId
from ari_proxy.protocol.malformed import UNDECODABLE

from .giver import ANSWER_SECONDS, SILENCE_SECONDS
from .messages import GOES_ON, HandoverRequest, Record, SnapshotPage

_log = structlog.get_logger()

#: For another one that takes over just now to be through with it, or to be known as dead.
BUSY_SECONDS: Final = SILENCE_SECONDS + 0.5
#: Seconds between two questions meanwhile.
BUSY_PAUSE_SECONDS: Final = 0.2
_page_decoder = msgspec.json.Decoder(SnapshotPage)


class HandoverSnapshot:
    """What a new ingest was given."""

    def __init__(self) -> None:
        self.records: list[Record] = []
        #: Since when events may be missing, in Unix time (or UNKNOWN); None if none are.
        self.gap_since: float | None = None


class HandoverTaker:
    """Takes the dialogs, and is from then on who hands them over."""

    def __init__(
        self,
        bus: Bus,
        server: ServerId,
        tasks: asyncio.TaskGroup,
        *,
        load: Callable[[HandoverSnapshot | None], None],
        on_request: Handler,
    ) -> None:
        """Make one for a term.

        Args:
            bus: on which both ingests are.
            server: whose dialogs.
            tasks: of the term.
            load: called once with what was taken; with None if there was nobody.
            on_request: called with the requests of the next ingest, once it may have the dialogs.
        """
        self._bus = bus
        self._topic = topics.hand_over(server)
        self._tasks = tasks
        self._load = load
        self._on_request = on_request
        #: By which it asks, however often.
        self._name = ids.random_id(ids.TOKEN_LENGTH)
        self._task: asyncio.Task[None] | None = None
        self._subscription: SubscriptionHandle | None = None
        #: Whether the dialogs are there.
        self.is_loaded = False

    def begin(self) -> None:
        """Begin, unless it has begun."""
        if self._task is None:
            self._task = self._tasks.create_task(self._run())

    async def wait(self) -> None:
        """Return when it is through, if it has begun; it goes on if that is cancelled."""
        if self._task is not None:
            await asyncio.shield(self._task)

    async def end(self) -> None:
        """Take no more, and hand nothing over."""
        if self._task is not None:
            self._task.cancel()
            await asyncio.wait([self._task])
        if self._subscription is not None:
            await self._subscription.unsubscribe()

    async def _run(self) -> None:
        taken = await self._take()
        self._load(taken)
        self.is_loaded = True
        self._subscription = await self._bus.subscribe(self._topic, self._on_request)

    async def _take(self) -> HandoverSnapshot | None:
        """Return the dialogs of the ingest that was active until now; None if there is none.

        One that does not answer, or not in time, counts as none, and is told so.
        """
        try:
            return await self._ask_for_all()
        except NoRespondersError:
            return None
        except (BusError, *UNDECODABLE) as error:
            _log.warning("hand_over.failed", error=str(error))
        except HandoverRefusedError as error:
            _log.warning("hand_over.refused", error=str(error))
        self._bus.publish(self._topic, self._request(GOES_ON))
        return None

    async def _ask_for_all(self) -> HandoverSnapshot:
        taken = HandoverSnapshot()
        page = await self._ask_for_first()
        number = 0
        while True:
            if page.error:
                raise HandoverRefusedError(page.error)
            taken.records += page.records
            taken.gap_since, number = page.gap_since, number + 1
            if page.is_last:
                return taken
            page = await self._ask(number)

    async def _ask_for_first(self) -> SnapshotPage:
        """Return the first page, of one that is not busy with handing over, or with taking over."""
        loop = asyncio.get_running_loop()
        give_up_at = loop.time() + BUSY_SECONDS
        page = await self._ask(0)
        while page.is_busy and loop.time() < give_up_at:
            await asyncio.sleep(BUSY_PAUSE_SECONDS)
            try:
                page = await self._ask(0)
            except NoRespondersError:
                continue  # One is through, and the other one does not listen yet.
        return page

    async def _ask(self, number: int) -> SnapshotPage:
        answer = await self._bus.request(
            self._topic, self._request(number), timeout_seconds=ANSWER_SECONDS
        )
        return _page_decoder.decode(answer)

    def _request(self, page: int) -> bytes:
        return msgspec.json.encode(HandoverRequest(by=self._name, page=page))


class HandoverRefusedError(Exception):
    """The old ingest does not hand over."""
