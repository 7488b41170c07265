"""The websockets of one active ingest, from opening the first one to giving up the last."""

import asyncio
import contextlib
from typing import Final

from ari_proxy.aio import Deadline
from ari_proxy.ari.connection_source import EventSource
from ari_proxy.bus.base import Bus
from ari_proxy.bus.errors import BusUnavailableError
from ari_proxy.ingest.events.reader import EventReader
from ari_proxy.ingest.handover.giver import FLUSH_SECONDS, PAUSE_SECONDS
from ari_proxy.ingest.recovery.closing_mark import ClosingMark
from ari_proxy.ingest.routing.proxy_events import Missing

from .active_phase import ActivePhase, ActiveState, ActiveTrigger, DeparturePhase
from .catch_up import CatchUp
from .parts import Parts, Times
from .take_over import DialogTakeOver

#: For Asterisk to close its websocket in order; all that it has sent comes before that.
CLOSE_SECONDS: Final = 3.0


class EventConnections:
    """Reads from one websocket after another, and brings the dialogs up to date on each."""

    def __init__(  # noqa: PLR0913  what a connection changes
        self,
        bus: Bus,
        socket: EventSource,
        reader: EventReader,
        *,
        state: ActiveState,
        parts: Parts,
        missing: Missing,
        take_over: DialogTakeOver,
        catch_up: CatchUp,
        mark: ClosingMark,
        times: Times,
    ) -> None:
        """Initialise without a connection.

        Args:
            bus: of the events.
            socket: opens the connections.
            reader: reads them.
            state: of the active ingest.
            parts: of the active ingest.
            missing: since when events may be missing.
            take_over: of the former ingest's dialogs.
            catch_up: runs on each connection.
            mark: left for the next process.
            times: for frames to be held.
        """
        self._bus = bus
        self._socket = socket
        self._reader = reader
        self._state = state
        self._parts = parts
        self._missing = missing
        self._take_over = take_over
        self._catch_up = catch_up
        self._mark = mark
        self._hold_seconds = times.hold_seconds

    async def run(self, tasks: asyncio.TaskGroup) -> None:
        """Read until no connection is to be opened any more; `tasks` runs the take-over."""
        # Without a bus it could serve no call, and would take calls from an ingest that can.
        await self._bus.wait_connected()
        if self._socket.is_queued:
            # Until Asterisk connects, it keeps the events: nothing comes before the dialogs.
            self._begin_take_over(tasks)
            await self._take_over.wait_done()
        async with contextlib.aclosing(self._reader.connections()) as connections:
            async for connection in connections:
                self._on_connected(tasks)
                await self._reader.read(connection, self._catch_up.run)
                self._on_lost()
                if not self._state.may_reconnect:
                    return

    async def leave(self, deadline: Deadline) -> None:
        """Give up the websocket in order, for good: the next process may miss nothing."""
        # What a mark promises is true once Asterisk has closed in order, however late that is.
        least = CLOSE_SECONDS if await self._leave_mark(deadline) else PAUSE_SECONDS
        await self.disconnect(deadline, least=least)

    async def disconnect(self, deadline: Deadline, *, least: float = PAUSE_SECONDS) -> None:
        """Give up the websocket, and open no other one.

        Args:
            deadline: for Asterisk to close it, within CLOSE_SECONDS.
            least: seconds that it has all the same.
        """
        if self._socket.is_queued:
            await self._reader.finish(min(CLOSE_SECONDS, max(deadline.seconds, least)))
        else:
            self._reader.stop()

    async def _leave_mark(self, deadline: Deadline) -> bool:
        """Tell the next process that it misses nothing, if that is so; return whether it is told.

        It is not if the bus has not confirmed all by the deadline.
        """
        is_evicted = self._state.departure is DeparturePhase.EVICTED
        is_missing = self._missing.since is not None or self._parts.replaced.names
        is_known = self._state.has_dialogs and self._socket.is_queued and self._reader.is_connected
        if is_evicted or is_missing or not is_known:
            return False
        try:
            await self._bus.flush(timeout_seconds=min(FLUSH_SECONDS, deadline.seconds))
        except BusUnavailableError:
            return False
        await self._mark.leave()
        return True

    def _on_connected(self, tasks: asyncio.TaskGroup) -> None:
        """Hold the frames that follow; at the first connect, begin to take over the dialogs."""
        self._parts.frame_drain.buffer.close()
        if not self._state.has_dialogs:
            self._parts.frame_drain.open_within(self._hold_seconds)
        self._begin_take_over(tasks)

    def _begin_take_over(self, tasks: asyncio.TaskGroup) -> None:
        if self._state.phase is ActivePhase.CONNECTING:
            self._state.advance(ActiveTrigger.CONNECTED)
            self._take_over.begin(tasks)

    def _on_lost(self) -> None:
        """Note that events may be missing since the last one, or the last answer to a ping."""
        if not (self._socket.is_queued and self._reader.is_complete):
            self._missing.note(self._parts.pipeline.complete_until)
        if self._state.has_dialogs:
            # The frames held are older than the recovery of the next connection.
            self._parts.frame_drain.open()
