"""Reassignment: a call whose instance of the application is gone goes to one that recovers it.

An instance asks for such calls by listening on a topic of their own. So no application gets one
that would take it for a new call, and without a listener there all is as if there were none.
"""

import time
from typing import Final
from urllib.parse import quote

import structlog

from ari_proxy.ari import snapshot as asterisk
from ari_proxy.ari.client import AriClient
from ari_proxy.ari.errors import TransportError
from ari_proxy.ari.snapshot import ChannelState
from ari_proxy.ingest.publishing.dialog_stream import DialogStream
from ari_proxy.ingest.routing import proxy_events
from ari_proxy.ingest.routing.dialog import Dialog
from ari_proxy.ingest.routing.phase import DeliveryTrigger
from ari_proxy.ingest.routing.proxy_events import Gap
from ari_proxy.protocol.malformed import UNDECODABLE

from .gate import SetupGate
from .search import ApplicationSearch
from .setup import DialogSetup

_log = structlog.get_logger()

#: Seconds that an AppStart may wait in its queue: those whom it reaches later find the call over.
KEEP_SECONDS: Final = 10.0
#: How often a call is given to another instance: one that ends each of them must not end all.
MOST_TIMES: Final = 3
#: Seconds for Asterisk to describe the channel.
_SECONDS: Final = 2.0
_OK: Final = 200


class CallReassignment:
    """Gives calls of one server to other instances of their applications."""

    def __init__(
        self,
        rest: AriClient,
        search: ApplicationSearch,
        stream: DialogStream,
        setup: DialogSetup,
        gate: SetupGate,
    ) -> None:
        """Initialise for an active ingest.

        Args:
            rest: the client of Asterisk.
            search: makes announcements.
            stream: holds what the instance has to know.
            setup: waits for the instance.
            gate: closed for a dialog until it is known what the instance has to know.
        """
        self._rest = rest
        self._search = search
        self._stream = stream
        self._setup = setup
        self._gate = gate

    async def offer(
        self, dialog: Dialog, gone_since: float, *, keep_seconds: float = KEEP_SECONDS
    ) -> bool:
        """Offer a call; return whether an instance has accepted it.

        Args:
            dialog: one whose instance does not listen.
            gone_since: Unix time at which it was last known to.
            keep_seconds: how long the offer may wait for the instance.
        """
        if dialog.reassignments >= MOST_TIMES:
            return False
        if not await self._search.announcement(dialog).reassign(keep_seconds):
            return False
        _log.warning("dialog.reassigned", dialog_id=dialog.dialog_id)
        dialog.count_reassignment()
        dialog.advance(DeliveryTrigger.REASSIGNED)  # From here on its events wait.
        await self._tell(dialog, gone_since)
        self._setup.begin(dialog)
        return True

    async def _tell(self, dialog: Dialog, gone_since: float) -> None:
        """Put what the instance has to know before all that happens from now on."""
        start_number, gap_number = dialog.next_sequence(), dialog.next_sequence()
        self._gate.stop([dialog.dialog_id])
        state = None
        try:
            state = await self._state(dialog.main_channel)
        finally:  # Also at a hand-over: the next ingest goes on with what is held.
            self._gate.resume(dialog)
            now = time.time()
            gap = Gap("application_gone", gone_since).event(dialog.application, now)
            self._stream.precede(dialog, proxy_events.GAP, gap, gap_number)
            if state is not None:
                start = proxy_events.stasis_start(state, now)
                self._stream.precede(dialog, "StasisStart", start, start_number)

    async def _state(self, channel: str) -> ChannelState | None:
        """Return what Asterisk says of a channel; None if it has none, or does not answer."""
        if not channel:
            return None
        try:
            path = f"/channels/{quote(channel, safe='')}"
            answer = await self._rest.request("GET", path, timeout_seconds=_SECONDS)
            return asterisk.channel(answer.body) if answer.status == _OK else None
        except (TransportError, *UNDECODABLE) as error:
            _log.debug("channel.unknown", channel=channel, error=str(error))
            return None
