"""Calls that Asterisk offers to several applications: StasisBroadcast, CallBroadcast.

An offered call is announced like any other, with its CallBroadcast as the first event. Only once an
application has taken it the channel is claimed; what follows from its StasisStart on is an ordinary
set-up. Otherwise nothing is claimed, and the dialplan goes on as soon as Asterisk's offer is over.
"""

import asyncio
import time
from typing import Literal, Protocol

import msgspec
import structlog

from ari_proxy.ari import broadcasts
from ari_proxy.ingest.publishing.dialog_ends import DialogEnds
from ari_proxy.ingest.publishing.dialog_stream import DialogStream
from ari_proxy.ingest.routing.dialog import Dialog
from ari_proxy.ingest.routing.dialog_table import DialogTable
from ari_proxy.ingest.routing.phase import DeliveryPhase, LifePhase
from ari_proxy.ingest.routing.proxy_events import EndReason
from ari_proxy.protocol.messages import Event

from .announcement import Announcement
from .claims import CallClaims, ClaimResult
from .gate import SetUpPausedError
from .instruments import DialogInstruments
from .search import ApplicationSearch

_log = structlog.get_logger()

#: `not_taken`: no application has taken the call in time. `disconnected`: one has, but Asterisk's
#: events for it do not come. `dropped`: this ingest is active no more.
OfferResult = ClaimResult | Literal["not_taken", "disconnected", "dropped"]
_event = msgspec.json.Decoder(Event)


class EventConnection(Protocol):
    """The connection to Asterisk's events."""

    def has_events(self, application: str) -> bool:
        """Return whether Asterisk sends an application's events to this ingest now."""
        ...


class BroadcastOffers:
    """The calls that Asterisk offers to the applications of one ingest."""

    def __init__(  # noqa: PLR0913  all that an offered call meets
        self,
        search: ApplicationSearch,
        claims: CallClaims,
        *,
        dialogs: DialogTable,
        stream: DialogStream,
        ends: DialogEnds,
        instruments: DialogInstruments,
        connection: EventConnection,
    ) -> None:
        """Initialise for an active ingest.

        Args:
            search: finds applications.
            claims: what they have taken.
            dialogs: where offered ones end.
            stream: has their events.
            ends: told to applications whose call is lost.
            instruments: metrics and the tap.
            connection: to Asterisk's events. A claim for an application that has none would end
                the call.
        """
        self._search = search
        self._claims = claims
        self._dialogs = dialogs
        self._stream = stream
        self._ends = ends
        self._instruments = instruments
        self._connection = connection
        self._running: set[Dialog] = set()

    def is_offering(self, dialog: Dialog) -> bool:
        """Return whether a dialog is being offered; its set-up begins behind that."""
        return dialog.is_offered or dialog in self._running

    def begins(self, dialog: Dialog) -> bool:
        """Return whether to `offer` a dialog now: not if that is under way or done."""
        if dialog.life is not LifePhase.UNCLAIMED or dialog in self._running:
            return False
        self._running.add(dialog)
        return True

    async def offer(self, announcement: Announcement) -> None:
        """Offer a dialog to applications, and claim its channel once one has taken it.

        Args:
            announcement: of the dialog, which holds its CallBroadcast as the first event.
        """
        dialog = announcement.dialog
        result: OfferResult = "dropped"
        try:
            result = await self._claim(announcement)
        except SetUpPausedError:
            pass
        except Exception:  # noqa: BLE001  a bug that one call meets must not end all others
            _log.exception("dialog.set_up_failed", dialog_id=dialog.dialog_id)
        finally:
            self._running.discard(dialog)
            self._instruments.count_offer(dialog, result)
            self._finish(dialog, result)

    async def _claim(self, announcement: Announcement) -> OfferResult:
        dialog = announcement.dialog
        seconds = broadcasts.seconds_of(_event.decode(dialog.held.first).ari_body)
        until = asyncio.get_running_loop().time() + seconds
        if not await self._search.is_taken(announcement, until):
            return "not_taken"
        if self._search.delivers_first:
            self._stream.drop_first(dialog)
        self._instruments.copy_app_start(announcement)
        if not dialog.is_offered:  # Offered anew meanwhile; or a client has claimed it itself.
            return "offer_over" if dialog.is_ended else "claimed"
        if not self._connection.has_events(dialog.application):
            return "disconnected"
        return await self._claims.claim(dialog)

    def _finish(self, dialog: Dialog, result: OfferResult) -> None:
        if result == "claimed":
            self._dialogs.claim(dialog, time.monotonic())
        elif dialog.is_offered or dialog.is_ended:
            reason: EndReason = "offer_over"
            if result == "claimed_elsewhere":
                reason = result
            self._dialogs.end(dialog, time.monotonic(), reason)
            self._let_go(dialog, result)

    def _let_go(self, dialog: Dialog, result: OfferResult) -> None:
        """Tell an application that has taken a call at once that it is not its own."""
        if result == "not_taken" or dialog.delivery is DeliveryPhase.OFFERED:
            dialog.abandon()
        elif result != "dropped":  # Then it may not listen yet, and is told once it does.
            self._stream.release(dialog, is_first_delivered=False)
            if dialog.life is LifePhase.ENDED:
                self._ends.publish(dialog, dialog.end_reason)
