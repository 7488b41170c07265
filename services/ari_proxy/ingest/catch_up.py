"""After each connect: the dialogs are brought up to date, and the frames held pass.

Where we connect to Asterisk, the events of the time without a connection are lost: the dialogs
become what Asterisk has, and then the frames pass. Where Asterisk connects to us, it has kept them,
and they come before any answer: the dialogs become what they were when the queue began, and
Asterisk's own events bring them up to date. Only what could not end that way is ended later.
"""

import asyncio
from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from typing import Protocol

from ari_proxy.bus.base import Bus
from ari_proxy.ingest.events.reader import Remaining
from ari_proxy.ingest.recovery.closing_mark import ClosingMark
from ari_proxy.ingest.recovery.recovery import Found
from ari_proxy.ingest.recovery.unserved import Unserved
from ari_proxy.ingest.routing.proxy_events import UNKNOWN, Gap, Missing

from .parts import Parts, Times
from .take_over import DialogTakeOver


class CatchUp(Protocol):
    """Brings the dialogs of one active ingest up to date."""

    async def run(self) -> Remaining:
        """Bring them up to date after a connect, then pass the frames held."""


class SnapshotCatchUp:
    """For an Asterisk that we connect to."""

    def __init__(
        self, bus: Bus, parts: Parts, take_over: DialogTakeOver, missing: Missing, times: Times
    ) -> None:
        self._bus = bus
        self._parts = parts
        self._take_over = take_over
        self._missing = missing
        self._times = times

    async def run(self) -> Remaining:
        """Bring the dialogs up to date, then pass the frames held, at the latest after a while."""
        recovery = self._parts.recovery
        await self._parts.frame_drain.former_drained()  # Frames of former connections come first.
        self._parts.frame_drain.open_within(self._times.hold_seconds)
        await self._take_over.wait_done()
        known = recovery.known()
        gap = self._missing.gap
        if self._missing.since is None:
            self._parts.frame_drain.open()
            unserved = await recovery.look()
            return partial(self._serve, unserved, gap)
        unserved = await recovery.run(known, gap)
        self._missing.forget()
        self._parts.frame_drain.open()
        await recovery.publish_recovered(self._bus, gap.reason)
        return partial(self._serve, unserved, gap)

    async def _serve(self, unserved: Unserved, gap: Gap) -> None:
        await self._parts.frame_drain.drained()  # Their StasisStart may be among the frames held.
        await self._parts.unserved.serve(unserved, gap)


class QueueCatchUp:
    """For an Asterisk that connects to us, and keeps its events until then."""

    def __init__(
        self, bus: Bus, parts: Parts, mark: ClosingMark, missing: Missing, times: Times
    ) -> None:
        self._bus = bus
        self._parts = parts
        self._mark = mark
        self._missing = missing
        self._times = times

    async def run(self) -> Remaining:
        """Join the queue with the dialogs as they were, then pass it."""
        recovery, drain = self._parts.recovery, self._parts.frame_drain
        await drain.former_drained()  # Frames of former connections come first.
        is_first = self._missing.since == UNKNOWN
        gap = self._missing.gap
        with self._watched():
            is_complete = self._missing.since is None or (is_first and await self._mark.take())
            known = recovery.known()
            found = await recovery.join_queue(known, None if is_complete else gap, drain.buffer)
        self._missing.forget()
        drain.open()
        return partial(self._finish, found, gap, is_told=not is_complete or is_first)

    @contextmanager
    def _watched(self) -> Iterator[None]:
        """Pass the frames held all the same if neither they nor answers come for a while.

        Asterisk answers behind its queue, however long that is. It answers no more on a websocket
        once a client that took the application is gone.
        """
        loop, drain = asyncio.get_running_loop(), self._parts.frame_drain
        held_bytes = -1
        overdue: asyncio.TimerHandle

        def check() -> None:
            nonlocal held_bytes, overdue
            if drain.buffer.held_bytes != held_bytes:
                held_bytes = drain.buffer.held_bytes
                overdue = loop.call_later(self._times.hold_seconds, check)
            else:
                self._parts.replaced.note_all_silent()
                drain.open()

        overdue = loop.call_later(self._times.hold_seconds, check)
        try:
            yield
        finally:
            overdue.cancel()

    async def _finish(self, found: Found, gap: Gap, *, is_told: bool) -> None:
        """Look again once the queue has passed.

        Args:
            found: at its beginning.
            gap: what was missing before it.
            is_told: whether clients are told which dialogs are open.
        """
        recovery = self._parts.recovery
        await self._parts.frame_drain.drained()
        if is_told:
            await recovery.publish_recovered(self._bus, gap.reason)
        if found.gone:
            await asyncio.sleep(self._times.unserved_seconds)  # Their ends may be on their way.
            recovery.end_gone(found.gone)
        await self._parts.unserved.serve(found.unserved, gap)
