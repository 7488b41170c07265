"""The lifetime of durable queues: those of a dialog stay for a grace period after its end."""

import asyncio
import time
from collections import deque
from collections.abc import Collection, Sequence
from typing import Final, NamedTuple

import structlog

from ari_proxy.bus.base import Bus
from ari_proxy.bus.durable import DurableQueues
from ari_proxy.bus.errors import BusRefusedError, BusUnavailableError
from ari_proxy.clock import Clock
from ari_proxy.ingest.routing.dialog import Dialog
from ari_proxy.ingest.routing.dialog_table import DialogTable
from ari_proxy.protocol import topics
from ari_proxy.protocol.ids import DialogId

from .orphans import OrphanedDialogs

_log = structlog.get_logger()

#: Seconds between two checks for queues that are due.
CHECK_SECONDS: Final = 1.0
#: Seconds before a refused deletion is tried again.
RETRY_SECONDS: Final = 5.0


class _Over(NamedTuple):
    """The queues of a dialog that has ended."""

    due_at: float
    names: tuple[str, ...]
    #: Of the bus until then.
    reconnects: int


class QueueRetention:
    """Creates the queues of applications, and deletes those of dialogs."""

    def __init__(  # noqa: PLR0913  its times by name
        self,
        bus: Bus,
        queues: DurableQueues,
        dialogs: DialogTable,
        orphans: OrphanedDialogs,
        *,
        grace_seconds: float,
        clock: Clock = time.monotonic,
        retry_seconds: float = RETRY_SECONDS,
        check_seconds: float = CHECK_SECONDS,
    ) -> None:
        """Initialise for an active ingest.

        Args:
            bus: after a reconnect its queues stay for another grace period.
            queues: of the bus.
            dialogs: one of them may use its queues again.
            orphans: a dialog that ends here is no longer one of them.
            grace_seconds: from the end of a dialog to the deletion of its queues.
            clock: monotonic seconds.
            retry_seconds: before a deletion that has failed is tried again.
            check_seconds: between two checks.
        """
        self._bus = bus
        self._queues = queues
        self._dialogs = dialogs
        self._orphans = orphans
        self._grace = grace_seconds
        self._clock = clock
        self._retry_seconds = retry_seconds
        self._check_seconds = check_seconds
        #: In the order of time.
        self._over: deque[_Over] = deque()

    async def declare(self, applications: Collection[str]) -> None:
        """Create the applications' queues, since only of an existing queue consumers are known."""
        for application in applications:
            try:
                await self._queues.declare([application])
            except BusUnavailableError:
                continue  # A client that serves it declares it as well.
            except BusRefusedError as error:
                _log.warning("application.queue_refused", application=application, error=str(error))

    def on_ended(self, dialog: Dialog) -> None:
        """Schedule the deletion of a dialog's queues."""
        names = topics.of_dialog(dialog.dialog_id)
        self._schedule(names)
        # Adopted and ended between two checks of the orphans: its end has been reported.
        self._orphans.drop(names)

    async def run(self) -> None:
        """Delete the queues that are due, until cancelled."""
        while True:
            await asyncio.sleep(self._check_seconds)
            await self._delete_due()

    async def _delete_due(self) -> None:
        # Each once: without a grace period those that are put off are due again at once.
        for _ in range(len(self._over)):
            if self._over[0].due_at > self._clock():
                return
            over = self._over.popleft()
            if self._dialogs.lives(DialogId(topics.owner_of(over.names[0]))):
                continue  # A client has used its id again.
            if not self._bus.is_connected or self._bus.reconnects != over.reconnects:
                # Its last events may have come there just now, and its application not yet.
                self._schedule(over.names)
            elif not await self.delete(over.names):
                again_at = self._clock() + self._retry_seconds
                self._over.append(over._replace(due_at=again_at))

    def _schedule(self, names: tuple[str, ...]) -> None:
        due_at = self._clock() + self._grace
        self._over.append(_Over(due_at, names, self._bus.reconnects))

    async def delete(self, names: Sequence[str]) -> bool:
        """Delete queues; return whether that was possible."""
        try:
            await self._queues.delete(names)
        except (BusUnavailableError, BusRefusedError) as error:
            _log.warning("dialog.queues_not_deleted", topics=names, error=str(error))
            return False
        return True
