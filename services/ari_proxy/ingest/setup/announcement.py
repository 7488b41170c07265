"""Announcement of one dialog: its queues, its AppStart, and the delivery of the first event."""

import asyncio
import contextlib
import time
from typing import Final

import msgspec
import structlog

from ari_proxy.bus.base import Bus
from ari_proxy.bus.durable import DurableQueues
from ari_proxy.bus.errors import BusRefusedError, BusUnavailableError, OutcomeUnknownError
from ari_proxy.bus.listeners import has_listener
from ari_proxy.bus.receipt import Receipt
from ari_proxy.ingest.queues import orphans
from ari_proxy.ingest.routing.dialog import Dialog
from ari_proxy.ingest.routing.phase import DeliveryPhase, DeliveryTrigger, LifePhase
from ari_proxy.protocol import messages, topics
from ari_proxy.protocol.ids import ServerId
from ari_proxy.protocol.messages import AppStart
from ari_proxy.protocol.timestamps import Rfc3339Nano

from .attempts import Attempts
from .gate import SetupGate, SetUpPausedError
from .offering import TAKER_SECONDS, Offering

_log = structlog.get_logger()

#: For an instance without a place for a call to decline it; NATS tells only that it was reached.
DECLINE_SECONDS: Final = 0.1


class DialogOverError(Exception):
    """The dialog ended so long ago that its announcement is given up."""


class Announcement:
    """The messages about one dialog to applications, until one of them has its first event.

    Nothing here has a deadline: callers set one.
    """

    def __init__(
        self,
        server: ServerId,
        bus: Bus,
        dialog: Dialog,
        gate: SetupGate,
        *,
        patience_seconds: float,
        asterisk_version: str = "",
    ) -> None:
        """Make the announcement of a dialog.

        Args:
            server: of the dialog.
            bus: reaches the applications.
            dialog: to announce.
            gate: checked before each attempt.
            patience_seconds: from now on, after which a dialog that is forgotten is given up.
            asterisk_version: the server's, or '' if it is not known.
        """
        self.dialog = dialog
        self._server = server
        self._bus = bus
        self._gate = gate
        self._loop = asyncio.get_running_loop()
        self._given_up_at = self._loop.time() + patience_seconds
        #: Unix nanoseconds since which its AppStart is offered; 0 before that.
        self.announced_at_ns = 0
        self._asterisk_version = asterisk_version
        #: Of its AppStart's span, or ''.
        self._traceparent = ""
        #: Whether the bus refused its queues or AppStart at the last attempt.
        self.is_refused = False
        #: Whether the first event is on its way: the application may get it.
        self.is_probing = False

    def _check(self) -> None:
        """Raise unless a further attempt makes sense.

        Raises:
            SetUpPausedError: another ingest has the dialog.
            DialogOverError: it is forgotten, and its time is over.
        """
        self._gate.check(self.dialog)
        if self.dialog.life is LifePhase.FORGOTTEN and self._loop.time() >= self._given_up_at:
            raise DialogOverError

    @property
    def app_start(self) -> bytes:
        """The dialog's AppStart."""
        dialog = self.dialog
        channel = dialog.main_channel if dialog.is_reassigned else dialog.channel_id
        own = dialog.application, dialog.dialog_id, self._server, channel
        timestamp = Rfc3339Nano().format(self.announced_at_ns)
        start = AppStart(
            *own,
            traceparent=self._traceparent or msgspec.UNSET,
            timestamp=timestamp,
            asterisk_version=self._asterisk_version or msgspec.UNSET,
            recovered=dialog.is_reassigned or msgspec.UNSET,
        )
        return messages.encode(start)

    # Durable queues

    async def declare(self, queues: DurableQueues, *, is_new: bool) -> None:
        """Declare the dialog's queues.

        Args:
            queues: of the bus.
            is_new: False if another process has begun it: its application may be there even if the
                dialog has ended, and has to get the end.
        """
        async for is_first in Attempts():
            if is_new:
                self._check()
            else:
                self._gate.check(self.dialog)
            if await self._is_declared(queues, loudly=is_first):
                return

    async def _is_declared(self, queues: DurableQueues, *, loudly: bool) -> bool:
        dialog = self.dialog
        note = orphans.note(dialog.application, dialog.channel_id)
        try:
            await queues.declare(topics.of_dialog(dialog.dialog_id), note=note)
        except BusUnavailableError:
            return False
        except BusRefusedError as error:
            self._note_refusal("dialog.queues_refused", error, loudly=loudly)
            return False
        self.is_refused = False
        return True

    # AppStart

    @property
    def _topic(self) -> str:
        application = self.dialog.application
        return topics.recovered(application) if self.dialog.is_reassigned else application

    async def reassign(self, keep_seconds: float) -> bool:
        """Offer the AppStart once to instances that recover calls; return whether one has it.

        Args:
            keep_seconds: how long it may wait for that instance.
        """
        try:
            self._gate.check(self.dialog)
        except SetUpPausedError:
            return False
        self.dialog.note_reassignment(is_reassigned=True)
        self.announced_at_ns = time.time_ns()
        is_taken = False
        try:
            receipt = await self._offer_once(self._loop.time() + keep_seconds, loudly=False)
            is_taken = await self._is_not_declined(receipt) and self.dialog.is_served
        finally:
            self.dialog.note_reassignment(is_reassigned=is_taken)
        return is_taken

    async def _is_not_declined(self, receipt: Receipt) -> bool:
        """Return whether an instance has an AppStart, and does not give it back at once."""
        if receipt and self._bus.queues is None:
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(DECLINE_SECONDS):
                    await receipt.wait_reply()
        return bool(receipt) and not messages.declines(receipt.reply)

    async def offer(self, until: float | None, *, taker_seconds: float = TAKER_SECONDS) -> Receipt:
        """Offer the AppStart until an instance has accepted it, unless one has before.

        Args:
            until: the loop's time at which the call is given up and the AppStart expires; or None.
            taker_seconds: for an instance that may have it to consume the dialog's events, before
                it is offered again.
        """
        dialog = self.dialog
        if not (dialog.announce and dialog.delivery is DeliveryPhase.OFFERED):
            return Receipt()
        self.announced_at_ns = time.time_ns()
        receipt = Receipt(has_listener=False)
        async for is_first in Attempts():
            self._check()
            if dialog.may_be_taken:
                receipt = Receipt(has_listener=await self._is_taken(taker_seconds))
                dialog.note_doubt(may_be_taken=False)
            else:
                receipt = await self._offer_once(until, loudly=is_first)
            if receipt:
                break
        dialog.advance(DeliveryTrigger.ACCEPTED)
        return receipt

    def join_trace(self, traceparent: str) -> None:
        """Send the trace that the AppStart belongs to with it."""
        self._traceparent = traceparent

    async def _offer_once(self, until: float | None, *, loudly: bool) -> Receipt:
        await self._bus.wait_connected()
        keep_seconds = None
        if until is not None:
            keep_seconds = max(until - self._loop.time(), 0.0)
        topic, traceparent = self._topic, self._traceparent
        try:
            offered = await self._bus.publish_to_listener(
                topic, self.app_start, keep_seconds=keep_seconds, traceparent=traceparent
            )
        except asyncio.CancelledError:
            # Whoever goes on with it can look at the queues, if there are any.
            self.dialog.note_doubt(may_be_taken=self._bus.queues is not None)
            raise
        except BusUnavailableError as error:
            self.dialog.note_doubt(may_be_taken=isinstance(error, OutcomeUnknownError))
            return Receipt(has_listener=False)
        except BusRefusedError as error:
            self._note_refusal("bus.message_refused", error, loudly=loudly)
            return Receipt(has_listener=False)
        self.is_refused = False
        return offered

    async def _is_taken(self, taker_seconds: float) -> bool:
        """Find out whether an instance has the AppStart, whose confirmation was lost.

        It may wait in its queue, or be with an instance that has yet to consume the events: two
        that serve the same dialog would harm the call. It counts as lost once the application's
        queue has had a consumer and been empty for some seconds, and the events had no consumer.
        An AppStart that a busy instance holds unacknowledged for longer can't be seen.
        """
        queues = self._bus.queues
        lost_at: float | None = None
        async for _ in Attempts():
            self._check()
            # A call that is over harms nobody if nobody was told of it.
            if self.dialog.is_ended or await self._is_heard():
                return True
            now = self._loop.time()
            if queues is None or not await self._is_drained(queues):
                lost_at = None
            elif lost_at is None:
                lost_at = now + taker_seconds
            elif now >= lost_at:
                break
        _log.info("app_start.lost", dialog_id=self.dialog.dialog_id)
        return False

    async def _is_drained(self, queues: DurableQueues) -> bool:
        """Return whether the application's queue has a consumer, and nothing waits there."""
        await self._bus.wait_connected()
        try:
            return await queues.is_drained(self.dialog.application)
        except (BusUnavailableError, BusRefusedError):
            return False

    # The first event

    async def deliver_first(self, offered: Receipt, *, taker_seconds: float) -> None:
        """Return once the first event has reached a listener; offer the AppStart again meanwhile.

        Args:
            offered: the receipt of the last offer.
            taker_seconds: for the instance that accepted it to subscribe; doubled each time.
        """
        offering = Offering(self._loop.time(), taker_seconds=taker_seconds)
        async for _ in Attempts(at_once=False):
            self._check()
            if await self._is_heard():
                return
            is_announced = self.dialog.announce or self.dialog.is_reassigned
            if is_announced and not self.dialog.is_ended:
                offered = await self._offer_again(offering, offered)

    async def _offer_again(self, offering: Offering, offered: Receipt) -> Receipt:
        """Offer the AppStart to another instance if it is due; return the last receipt.

        The first instance may come all the same, so this does not wait for another one.
        """
        now = self._loop.time
        if not offering.is_due(now(), is_declined=messages.declines(offered.reply)):
            return offered
        # After a hand-over another process made the first offer.
        self.announced_at_ns = self.announced_at_ns or time.time_ns()
        again = await self._offer_once(None, loudly=False)
        if not again:
            return offered
        _log.debug("app_start.offered_again", dialog_id=self.dialog.dialog_id)
        offering.offered(now())
        return again

    async def wait_heard(self) -> None:
        """Return once an application listens; on NATS it has the first event then."""
        async for _ in Attempts():
            self._gate.check(self.dialog)
            if await self._is_heard():
                return

    async def _is_heard(self) -> bool:
        """Return whether an application listens; on NATS it has the first event then."""
        await self._bus.wait_connected()
        self.is_probing = self._bus.queues is None
        try:
            return await self._has_listener(self.dialog.topic, self.dialog.held.first)
        finally:
            self.is_probing = False

    async def _has_listener(self, topic: str, probe: bytes) -> bool:
        await self._bus.wait_connected()
        try:
            return await has_listener(self._bus, topic, probe)
        except BusUnavailableError:
            return False
        except BusRefusedError as error:
            self._note_refusal("bus.message_refused", error, loudly=False)
            return False

    def _note_refusal(self, event: str, error: BusRefusedError, *, loudly: bool) -> None:
        self.is_refused = True
        dialog = self.dialog
        log = _log.error if loudly else _log.debug
        log(event, dialog_id=dialog.dialog_id, application=dialog.application, error=str(error))
