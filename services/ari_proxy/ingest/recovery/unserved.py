"""Channels in Stasis without a dialog: their StasisStart was lost, so their dialogs begin late."""

import asyncio
import time
from collections.abc import Collection, Mapping
from itertools import starmap
from typing import Final

import structlog

from ari_proxy.ari.snapshot import ChannelState
from ari_proxy.ingest.publishing.dialog_stream import DialogStream
from ari_proxy.ingest.routing import proxy_events
from ari_proxy.ingest.routing.dialog import Dialog
from ari_proxy.ingest.routing.object_index import ObjectIndex
from ari_proxy.ingest.routing.proxy_events import Gap
from ari_proxy.ingest.routing.router import Router
from ari_proxy.ingest.setup.setup import DialogSetup
from ari_proxy.protocol.ids import ServerId
from ari_proxy.telemetry import metrics_table as table
from ari_proxy.telemetry.metrics import Metrics

from .fetch import AsteriskFetch

_log = structlog.get_logger()

#: Seconds after which a channel in Stasis that still has no dialog gets one: its StasisStart would
#: have come by then.
UNSERVED_SECONDS: Final = 2.0

#: Channels in our applications that no dialog has, each with the dialog that had it, or None.
Unserved = Mapping[str, Dialog | None]


class UnservedChannels:
    """Begins dialogs for the unserved channels of one server."""

    def __init__(  # noqa: PLR0913  its source and all that a late dialog concerns
        self,
        server: ServerId,
        applications: Collection[str],
        fetch: AsteriskFetch,
        objects: ObjectIndex,
        router: Router,
        *,
        stream: DialogStream,
        setup: DialogSetup,
        metrics: Metrics,
        wait_seconds: float = UNSERVED_SECONDS,
    ) -> None:
        self._server = server
        self._applications = applications
        self._fetch = fetch
        self._objects = objects
        self._router = router
        self._stream = stream
        self._setup = setup
        self._metrics = metrics
        self._wait_seconds = wait_seconds

    async def serve(self, channels: Unserved, gap: Gap) -> None:
        """Begin dialogs for channels whose StasisStart was lost, and that are still there.

        Args:
            channels: as they were when Asterisk was asked.
            gap: events that they have missed.
        """
        if not channels:
            return
        await asyncio.sleep(self._wait_seconds)
        if not any(starmap(self._is_unserved, channels.items())):
            return
        snapshot = await self._fetch.snapshot()
        for name, former in channels.items():
            state = snapshot.channels.get(name)
            if state is None or state.application not in self._applications:
                continue
            if self._is_unserved(name, former):
                self._begin(state, name, gap)

    def _begin(self, state: ChannelState, name: str, gap: Gap) -> None:
        dialog = self._router.begin(state.application, name, time.monotonic())
        self._metrics.counter(table.RECONCILED_DIALOGS, self._server, "begun_late").inc()
        _log.warning("dialog.begins_late", dialog_id=dialog.dialog_id, channel=name)
        now = time.time()
        self._stream.notify(dialog, "StasisStart", proxy_events.stasis_start(state, now))
        self._stream.notify(dialog, proxy_events.GAP, gap.event(state.application, now))
        self._setup.begin(dialog)

    def _is_unserved(self, name: str, former: Dialog | None) -> bool:
        """Return whether no dialog has had the channel since: one may have begun and ended."""
        dialog = self._objects.channels.get(name)
        return dialog is former and (dialog is None or not dialog.may_have(name))
