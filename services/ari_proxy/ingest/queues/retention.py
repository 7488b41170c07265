"""The queues of dialogs on a bus that keeps messages: whether somebody came for them, their end.

On another bus there is nothing to do.
"""

import asyncio
import time
from collections import deque
from collections.abc import Awaitable, Callable, Collection, Sequence
from typing import Final, NamedTuple

import structlog

from ari_proxy.bus.base import Bus
from ari_proxy.bus.durable import DurableQueues
from ari_proxy.bus.errors import BusRefusedError, BusUnavailableError
from ari_proxy.ingest.routing.dialog import Dialog
from ari_proxy.ingest.routing.dialog_table import DialogTable
from ari_proxy.ingest.routing.phase import DeliveryPhase
from ari_proxy.protocol import topics
from ari_proxy.protocol.ids import DialogId

from .orphans import OrphanedDialogs

_log = structlog.get_logger()

#: Seconds between looks at what is due.
TIDY_SECONDS: Final = 1.0
#: Seconds between looks for the channels of left-behind dialogs, and before a refused deletion is
#: tried again.
LOOK_SECONDS: Final = 5.0

#: Returns the ids of all channels, or None if Asterisk does not tell.
ChannelIds = Callable[[], Awaitable[Collection[str] | None]]


class _Announced(NamedTuple):
    """A dialog whose AppStart was taken."""

    due_at: float
    dialog: Dialog
    #: Of the bus until then.
    reconnects: int


class _Over(NamedTuple):
    """The queues of a dialog that has ended."""

    due_at: float
    names: tuple[str, ...]
    #: Of the bus until then.
    reconnects: int


class QueueRetention:
    """Looks after the queues of one server's dialogs."""

    def __init__(  # noqa: PLR0913  its times by name
        self,
        bus: Bus,
        dialogs: DialogTable,
        *,
        deadline_seconds: float | None,
        grace_seconds: float,
        clock: Callable[[], float] = time.monotonic,
        look_seconds: float = LOOK_SECONDS,
        tidy_seconds: float = TIDY_SECONDS,
    ) -> None:
        self._bus = bus
        self._queues = bus.queues
        self._dialogs = dialogs
        #: For an application to come, or None if there is no end to it.
        self._deadline_seconds = deadline_seconds
        self._grace = grace_seconds
        self._clock = clock
        self._look_seconds = look_seconds
        self._tidy_seconds = tidy_seconds
        #: When to look whether an application has come, and when queues go; each in time's order.
        self._announced: deque[_Announced] = deque()
        self._over: deque[_Over] = deque()
        self.orphans = OrphanedDialogs(grace_seconds=grace_seconds)

    async def declare(self, applications: Collection[str]) -> None:
        """Bring the applications' queues into being: whether they have consumers is looked at."""
        if self._queues is None:
            return
        for application in applications:
            try:
                await self._queues.declare([application])
            except BusUnavailableError:
                continue  # Whoever serves it declares it as well.
            except BusRefusedError as error:
                _log.warning("application.queue_refused", application=application, error=str(error))

    def on_announced(self, dialog: Dialog) -> None:
        """Look in time whether the application that took the AppStart has come for the events."""
        if self._queues is not None and self._deadline_seconds is not None:
            due_at = self._clock() + self._deadline_seconds
            self._announced.append(_Announced(due_at, dialog, self._bus.reconnects))

    def on_ended(self, dialog: Dialog) -> None:
        """Let the queues go after the grace period."""
        if self._queues is not None:
            names = topics.of_dialog(dialog.dialog_id)
            self._delete_later(names)
            # Adopted and over between two looks: its end has been told.
            self.orphans.drop(names)

    async def tidy(self, on_unheard: Callable[[Dialog], None]) -> None:
        """Do what is due, for ever.

        Args:
            on_unheard: called with dialogs for whose events nobody came.
        """
        suspects: list[tuple[_Announced, int]] = []
        while (queues := self._queues) is not None:
            await asyncio.sleep(self._tidy_seconds)
            for announced, sequence in suspects:
                if await self._is_unheard(queues, announced, sequence):
                    on_unheard(announced.dialog)
            # Looked at in the next round: what is published now will be in the queue by then.
            suspects = self._due_announcements()
            await self._delete_due(queues)

    async def _is_unheard(
        self, queues: DurableQueues, announced: _Announced, sequence: int
    ) -> bool:
        """Return whether no application has come for any event up to one that is on the bus."""
        dialog = announced.dialog
        if dialog.is_ended or dialog.is_abandoned:
            return False
        # What waits says nothing where the bus was away: its application may not be back yet. Then
        # the allowed time of silence decides (listeners.py).
        try:
            # If fewer wait, somebody has had some.
            is_unheard = await queues.backlog(dialog.topic) >= max(sequence, 1)
        except (BusUnavailableError, BusRefusedError):
            return False  # Not known; the call goes on.
        # The bus has taken its time: somebody else may have given it up, or begun it anew.
        is_open = dialog.delivery is DeliveryPhase.OPEN and not dialog.is_ended
        return is_open and is_unheard and self._bus.reconnects == announced.reconnects

    def _due_announcements(self) -> list[tuple[_Announced, int]]:
        """Return dialogs whose application should have come, with their last event's number."""
        due = []
        while self._announced and self._announced[0].due_at <= self._clock():
            announced = self._announced.popleft()
            due.append((announced, announced.dialog.sequence))
        return due

    async def _delete_due(self, queues: DurableQueues) -> None:
        # Each once: without a grace period those that are put off are due again at once.
        for _ in range(len(self._over)):
            if self._over[0].due_at > self._clock():
                return
            over = self._over.popleft()
            if self._dialogs.lives(DialogId(topics.owner_of(over.names[0]))):
                continue  # A client has used its id again.
            if not self._bus.is_connected or self._bus.reconnects != over.reconnects:
                # Its last events may have come there just now, and its application not yet.
                self._delete_later(over.names)
            elif not await self._is_deleted(queues, over.names):
                again_at = self._clock() + self._look_seconds
                self._over.append(over._replace(due_at=again_at))

    def _delete_later(self, names: tuple[str, ...]) -> None:
        due_at = self._clock() + self._grace
        self._over.append(_Over(due_at, names, self._bus.reconnects))

    @staticmethod
    async def _is_deleted(queues: DurableQueues, names: Sequence[str]) -> bool:
        try:
            await queues.delete(names)
        except (BusUnavailableError, BusRefusedError) as error:
            _log.warning("dialog.queues_not_deleted", topics=names, error=str(error))
            return False
        return True

    # What a predecessor has declared

    async def take_over(self) -> None:
        """Take what a dead ingest has left behind, for ever."""
        if self._queues is None:
            return
        async for declared in self._queues.orphans():
            _log.debug("dialog.left_behind", topics=declared.topics)
            self.orphans.add(declared)

    async def look_after(
        self, channel_ids: ChannelIds, on_gone: Callable[[DialogId, str], None]
    ) -> None:
        """Delete the queues of left-behind dialogs when those are over, for ever.

        Args:
            channel_ids: asks Asterisk.
            on_gone: called with dialogs, and their applications, whose end nobody has seen.
        """
        told = 0
        while (queues := self._queues) is not None:
            await asyncio.sleep(self._look_seconds)
            # Adopted ones are over when their dialog has ended, like all others.
            self.orphans.forget(self._dialogs.dialogs)
            if len(self.orphans) != told:
                told = len(self.orphans)
                _log.info("dialogs.left_behind", dialogs=told)
            channels = await channel_ids() if len(self.orphans) else None
            if channels is not None:
                await self._observe(queues, channels, on_gone)

    async def _observe(
        self,
        queues: DurableQueues,
        channels: Collection[str],
        on_gone: Callable[[DialogId, str], None],
    ) -> None:
        gone, over = self.orphans.observe(channels, self._clock())
        for declared in gone:
            dialog_id = DialogId(topics.owner_of(declared.topics[0]))
            on_gone(dialog_id, self.orphans.application_of(declared))
        for declared in over:
            if not await self._is_deleted(queues, declared.topics):
                self.orphans.add(declared)
