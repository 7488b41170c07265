"""Dialogs without a channel: they end if Asterisk has nothing that their clients have asked for.

A client that chooses a dialog begins it with a request. Asterisk sends no event for a channel
without an application, nor for a bridge; and an executor may have died before it knew the outcome.
So Asterisk is asked.
"""

import asyncio
import time
from collections.abc import Collection
from typing import Final

from ari_proxy.ingest.routing.dialog import Dialog
from ari_proxy.ingest.routing.dialog_table import DialogTable

from .fetch import AsteriskFetch

#: Seconds between two checks for dialogs that have waited long enough.
LOOK_SECONDS: Final = 5.0


class EmptyDialogs:
    """Watches the empty dialogs of one server."""

    def __init__(
        self, fetch: AsteriskFetch, dialogs: DialogTable, *, look_seconds: float = LOOK_SECONDS
    ) -> None:
        self._fetch = fetch
        self._dialogs = dialogs
        self._look_seconds = look_seconds

    async def watch(self) -> None:
        """End those of which Asterisk has nothing, until cancelled."""
        while True:
            await asyncio.sleep(self._look_seconds)
            await self.look()

    async def look(self) -> None:
        """End those that have waited long enough, and of which Asterisk has nothing."""
        overdue = {d: d.awaited_objects for d in self._dialogs.overdue(time.monotonic())}
        there = await self._fetch.object_ids() if overdue else None
        for dialog, asked_before in overdue.items():
            # What was asked for meanwhile is not in Asterisk's answer.
            self._decide(dialog, there if dialog.awaited_objects == asked_before else None)

    def _decide(self, dialog: Dialog, there: Collection[str] | None) -> None:
        if dialog.channels or dialog.is_ended:
            return  # Something has come meanwhile.
        if there is None or any(name in there for name in dialog.awaited_objects):
            self._dialogs.await_channel(dialog, time.monotonic())
        else:
            self._dialogs.end(dialog, time.monotonic(), "no_channel")
