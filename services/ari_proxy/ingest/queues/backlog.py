"""Check that the application that accepted an AppStart consumes the dialog's events."""

import asyncio
import time
from collections import deque
from collections.abc import AsyncGenerator
from typing import Final, NamedTuple

from ari_proxy.bus.base import Bus
from ari_proxy.bus.durable import DurableQueues
from ari_proxy.bus.errors import BusRefusedError, BusUnavailableError
from ari_proxy.ingest.routing.dialog import Dialog
from ari_proxy.ingest.routing.phase import DeliveryPhase

#: Seconds between two checks of the dialogs that are due.
CHECK_SECONDS: Final = 1.0


class _Opened(NamedTuple):
    """A dialog whose events go to its queue."""

    due_at: float
    dialog: Dialog
    #: Of the bus until then.
    reconnects: int


class ArrivalDeadlines:
    """Until when the applications of open dialogs have to come for their events."""

    def __init__(self, bus: Bus, *, deadline_seconds: float | None) -> None:
        """Make the deadlines of one server's dialogs.

        Args:
            bus: its reconnects are recorded with each deadline.
            deadline_seconds: for an application to come; None if calls wait without a limit.
        """
        self._bus = bus
        self._deadline_seconds = deadline_seconds
        self._opened: deque[_Opened] = deque()

    def set(self, dialog: Dialog, now: float) -> None:
        """Set the deadline of a dialog that is open now, in monotonic seconds."""
        if self._deadline_seconds is not None:
            due_at = now + self._deadline_seconds
            self._opened.append(_Opened(due_at, dialog, self._bus.reconnects))

    def due(self, now: float) -> list[tuple[Dialog, int]]:
        """Return the dialogs that are due, each with the bus's reconnects when it opened."""
        found = []
        while self._opened and self._opened[0].due_at <= now:
            opened = self._opened.popleft()
            found.append((opened.dialog, opened.reconnects))
        return found


class _Suspect(NamedTuple):
    """A dialog that is due, with the sequence of its last event at that time."""

    dialog: Dialog
    reconnects: int
    sequence: int


class BacklogWatch:
    """Finds dialogs of which no application has consumed any event in time."""

    def __init__(
        self,
        bus: Bus,
        queues: DurableQueues,
        deadlines: ArrivalDeadlines,
        *,
        check_seconds: float = CHECK_SECONDS,
    ) -> None:
        self._bus = bus
        self._queues = queues
        self._deadlines = deadlines
        self._check_seconds = check_seconds

    async def unheard(self) -> AsyncGenerator[Dialog, None]:
        """Check the dialogs that are due; yield those to give up; endless."""
        suspects: list[_Suspect] = []
        while True:
            await asyncio.sleep(self._check_seconds)
            for suspect in suspects:
                if await self._is_unheard(suspect):
                    yield suspect.dialog
            # Checked in the next round: what is published now will be in the queue by then.
            due = self._deadlines.due(time.monotonic())
            suspects = [_Suspect(dialog, reconnects, dialog.sequence) for dialog, reconnects in due]

    async def _is_unheard(self, suspect: _Suspect) -> bool:
        """Return whether no application has consumed any event of a dialog."""
        dialog = suspect.dialog
        if dialog.is_ended or dialog.is_abandoned:
            return False
        # After an outage of the bus the backlog says nothing: the application may not be back yet.
        # Then the allowed time of silence decides (`setup/watchdog.py`).
        try:
            # If fewer wait, an application has consumed some.
            is_unheard = await self._queues.backlog(dialog.topic) >= max(suspect.sequence, 1)
        except (BusUnavailableError, BusRefusedError):
            return False  # Not known; the call goes on.
        # Meanwhile it may have been given up, or begun again.
        is_open = dialog.delivery is DeliveryPhase.OPEN and not dialog.is_ended
        return is_open and is_unheard and self._bus.reconnects == suspect.reconnects
