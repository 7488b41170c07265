"""Strategies to deliver a dialog's events to its application, one for each kind of bus.

A bus without durable queues delivers to those who listen: the first event, itself the probe, is
sent until an application has subscribed. A bus with durable queues gets the dialog's queues first,
and all events as soon as the AppStart is accepted: they wait there.
"""

import time
from typing import Protocol

from ari_proxy.bus.durable import DurableQueues
from ari_proxy.ingest.queues.backlog import ArrivalDeadlines
from ari_proxy.ingest.routing.dialog import Dialog

from .announcement import Announcement
from .offering import TAKER_SECONDS


class SetupStrategy(Protocol):
    """The part of a set-up that depends on the bus. Deadlines are the caller's."""

    @property
    def delivers_first(self) -> bool:
        """True if the first held event has been delivered once the dialog opens."""

    async def announce(self, announcement: Announcement, until: float | None) -> None:
        """Return once an application gets the events of a new dialog.

        Args:
            announcement: of the dialog.
            until: the loop's time at which the call is given up, or None.
        """

    async def wait_listener(self, announcement: Announcement) -> None:
        """Return once an application listens to a dialog that another process has begun."""

    def on_open(self, dialog: Dialog) -> None:
        """Called when the events of a dialog pass."""


class ProbingStrategy:
    """For a bus without durable queues: NATS."""

    delivers_first = True

    def __init__(self, *, taker_seconds: float = TAKER_SECONDS) -> None:
        """Initialise a strategy.

        Args:
            taker_seconds: for the instance that accepts an AppStart to subscribe, before the
                AppStart goes out again.
        """
        self._taker_seconds = taker_seconds

    async def announce(self, announcement: Announcement, until: float | None) -> None:
        """Offer the AppStart, then the first event until an application has subscribed."""
        receipt = await announcement.offer(until)
        await announcement.deliver_first(receipt, taker_seconds=self._taker_seconds)

    async def wait_listener(self, announcement: Announcement) -> None:
        """Return once the first event has reached an application."""
        await announcement.wait_heard()

    def on_open(self, dialog: Dialog) -> None:
        """Do nothing: the application is there."""


class QueueingStrategy:
    """For a bus with durable queues: RabbitMQ."""

    delivers_first = False

    def __init__(
        self,
        queues: DurableQueues,
        deadlines: ArrivalDeadlines,
        *,
        taker_seconds: float = TAKER_SECONDS,
    ) -> None:
        """Initialise a strategy.

        Args:
            queues: of the bus.
            deadlines: for applications to come for their events.
            taker_seconds: for an instance that may have an AppStart, whose confirmation was lost,
                to consume the events, before the AppStart goes out again.
        """
        self._queues = queues
        self._deadlines = deadlines
        self._taker_seconds = taker_seconds

    async def announce(self, announcement: Announcement, until: float | None) -> None:
        """Declare the dialog's queues, then offer the AppStart."""
        await announcement.declare(self._queues, is_new=True)
        await announcement.offer(until, taker_seconds=self._taker_seconds)

    async def wait_listener(self, announcement: Announcement) -> None:
        """Declare the dialog's queues; return once they have a consumer."""
        await announcement.declare(self._queues, is_new=False)
        await announcement.wait_heard()

    def on_open(self, dialog: Dialog) -> None:
        """Set a deadline for the application to come for the events."""
        self._deadlines.set(dialog, time.monotonic())
