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

from .search import ApplicationSearch
from .setup import DialogSetup

_log = structlog.get_logger()

#: Seconds that an AppStart may wait in its queue: those whom it reaches later find the call over.
KEEP_SECONDS: Final = 10.0
#: Seconds for Asterisk to describe the channel.
_SECONDS: Final = 2.0
_OK: Final = 200


class CallReassignment:
    """Gives calls of one server to other instances of their applications."""

    def __init__(
        self, rest: AriClient, search: ApplicationSearch, stream: DialogStream, setup: DialogSetup
    ) -> None:
        """Initialise for an active ingest.

        Args:
            rest: the client of Asterisk.
            search: makes announcements.
            stream: holds what the instance has to know.
            setup: waits for the instance.
        """
        self._rest = rest
        self._search = search
        self._stream = stream
        self._setup = setup

    async def offer(self, dialog: Dialog, gone_since: float) -> bool:
        """Offer a call; return whether an instance has accepted it.

        Args:
            dialog: one whose instance does not listen.
            gone_since: Unix time at which it was last known to.
        """
        if not await self._search.announcement(dialog).reassign(KEEP_SECONDS):
            return False
        _log.warning("dialog.reassigned", dialog_id=dialog.dialog_id)
        dialog.advance(DeliveryTrigger.REASSIGNED)  # From here on its events wait.
        state, now = await self._state(dialog.main_channel), time.time()
        if state is not None:
            self._stream.notify(dialog, "StasisStart", proxy_events.stasis_start(state, now))
        gap = Gap("application_gone", gone_since).event(dialog.application, now)
        self._stream.notify(dialog, proxy_events.GAP, gap)
        self._setup.begin(dialog)
        return True

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
