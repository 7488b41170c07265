"""Finds the ends of dialogs that a crashed ingest has left, and deletes their queues."""

import asyncio
import time
from collections.abc import AsyncGenerator, Awaitable, Callable, Collection
from typing import Final

import structlog

from ari_proxy.bus.durable import DeclaredQueues, DurableQueues
from ari_proxy.clock import Clock
from ari_proxy.ingest.routing.dialog_table import DialogTable
from ari_proxy.protocol import topics
from ari_proxy.protocol.ids import DialogId

from .orphans import OrphanedDialogs
from .retention import QueueRetention

_log = structlog.get_logger()

#: Seconds between two requests for the channels of orphaned dialogs.
CHECK_SECONDS: Final = 5.0

#: Returns the ids of all channels, or None if Asterisk does not answer.
ChannelIds = Callable[[], Awaitable[Collection[str] | None]]


class OrphanWatch:
    """Watches the orphaned dialogs of one server until their channels are gone."""

    def __init__(  # noqa: PLR0913  what it reads and what it acts on
        self,
        queues: DurableQueues,
        orphans: OrphanedDialogs,
        retention: QueueRetention,
        dialogs: DialogTable,
        *,
        channel_ids: ChannelIds,
        clock: Clock = time.monotonic,
        check_seconds: float = CHECK_SECONDS,
    ) -> None:
        """Initialise for an active ingest.

        Args:
            queues: of the bus.
            orphans: filled here.
            retention: deletes their queues.
            dialogs: those that this ingest has; they are no orphans.
            channel_ids: asks Asterisk.
            clock: monotonic seconds.
            check_seconds: between two requests to Asterisk.
        """
        self._queues = queues
        self._orphans = orphans
        self._retention = retention
        self._dialogs = dialogs
        self._channel_ids = channel_ids
        self._clock = clock
        self._check_seconds = check_seconds

    async def claim(self) -> None:
        """Claim the queues that other processes have declared and not deleted, until cancelled."""
        async for declared in self._queues.orphans():
            _log.debug("dialog.left_behind", topics=declared.topics)
            self._orphans.add(declared)

    async def gone(self) -> AsyncGenerator[tuple[DialogId, str], None]:
        """Find dialogs that are over; delete their queues after their grace period; endless.

        Yields:
            Each dialog when Asterisk has none of its channels any more, and its application, or ''
            if that is not known.
        """
        logged = 0
        while True:
            await asyncio.sleep(self._check_seconds)
            # Adopted ones end with their dialog, like all others.
            self._orphans.forget(self._dialogs.dialogs)
            if len(self._orphans) != logged:
                logged = len(self._orphans)
                _log.info("dialogs.left_behind", dialogs=logged)
            channels = await self._channel_ids() if logged else None
            if channels is None:
                continue
            gone, over = self._orphans.observe(channels, self._clock())
            for declared in gone:
                dialog_id = DialogId(topics.owner_of(declared.topics[0]))
                yield dialog_id, self._orphans.application_of(declared)
            await self._delete(over)

    async def _delete(self, over: Collection[DeclaredQueues]) -> None:
        for declared in over:
            if not await self._retention.delete(declared.topics):
                self._orphans.add(declared)
