"""Watches the applications of open dialogs, so that no caller is left with a dead one.

On NATS only a message shows whether somebody listens, so a dialog gets a ProxyProbe now and then;
durable queues know their consumers.
"""

import asyncio
import contextlib
import time
from collections.abc import Iterable
from typing import Final

import structlog

from ari_proxy.bus.base import Bus
from ari_proxy.bus.errors import BusRefusedError, BusUnavailableError
from ari_proxy.bus.listeners import has_listener
from ari_proxy.ingest.publishing.background import BackgroundWork
from ari_proxy.ingest.publishing.dialog_stream import DialogStream
from ari_proxy.ingest.queues.backlog import BacklogWatch
from ari_proxy.ingest.routing import proxy_events
from ari_proxy.ingest.routing.dialog import Dialog
from ari_proxy.ingest.routing.dialog_table import DialogTable

from .reassignment import KEEP_SECONDS, CallReassignment
from .setup import DialogSetup

_log = structlog.get_logger()

#: Seconds after which a dialog that nobody listens to is looked at again: longer than a client
#: needs to come back to its bus.
RECHECK_SECONDS: Final = 5.0
#: Checks of each dialog within the time of silence that is allowed.
LOOKS: Final = 4
_MAX_INTERVAL_SECONDS: Final = 15.0


class ApplicationWatchdog:
    """Gives up dialogs of one server if their applications are gone."""

    def __init__(  # noqa: PLR0913  all that a deserted dialog meets
        self,
        bus: Bus,
        dialogs: DialogTable,
        stream: DialogStream,
        setup: DialogSetup,
        reassignment: CallReassignment,
        background: BackgroundWork,
        *,
        silence_seconds: float,
    ) -> None:
        self._bus = bus
        self._dialogs = dialogs
        self._stream = stream
        self._setup = setup
        self._reassignment = reassignment
        self._background = background
        self._silence = silence_seconds
        self._interval = min(silence_seconds / LOOKS, _MAX_INTERVAL_SECONDS)
        self._reconnects = 0

    async def watch(self) -> None:
        """Give up dialogs without an application for too long, until cancelled."""
        while self._silence:
            await asyncio.sleep(self._interval)
            await self._bus.wait_connected()
            self._forgive_outages()
            due = time.monotonic() - self._interval
            silent = await self._silent(d for d in self._dialogs if d.heard_at <= due)
            if silent:
                await asyncio.sleep(min(RECHECK_SECONDS, self._interval))
                await self._replace_all(silent)

    async def give_up_unheard(self, backlog: BacklogWatch) -> None:
        """Give up dialogs whose applications have not come for their events, until cancelled."""
        async with contextlib.aclosing(backlog.unheard()) as unheard:
            async for dialog in unheard:
                self._setup.give_up(dialog)

    def _forgive_outages(self) -> None:
        """Restart the time of silence after an outage of the bus: applications may come back."""
        if self._bus.reconnects == self._reconnects:
            return
        self._reconnects = self._bus.reconnects
        for dialog in self._dialogs:
            dialog.note_heard(time.monotonic())

    def _probe(self, dialog: Dialog) -> bytes:
        """Return a ProxyProbe, outside of the dialog's order."""
        text = proxy_events.probe(dialog.application, time.time())
        return self._stream.envelope(proxy_events.PROBE, text, dialog.dialog_id)

    async def _silent(self, dialogs: Iterable[Dialog]) -> list[Dialog]:
        """Return those of the dialogs that are served, and that nobody listens to."""
        return [dialog for dialog in dialogs if dialog.is_served and await self._is_silent(dialog)]

    async def _is_silent(self, dialog: Dialog) -> bool:
        """Return whether nobody listens to a dialog."""
        try:
            is_heard = await has_listener(self._bus, dialog.topic, self._probe(dialog))
        except (BusUnavailableError, BusRefusedError) as error:
            _log.debug("listener.unknown", dialog_id=dialog.dialog_id, error=str(error))
            return False
        if is_heard:
            dialog.note_heard(time.monotonic())
        return not is_heard

    async def _replace_all(self, dialogs: Iterable[Dialog]) -> None:
        """Give those to other instances that nobody listens to at this moment."""
        for dialog in dialogs:
            if self._bus.reconnects != self._reconnects:
                return  # Applications may come back as we have.
            if dialog.is_served and await self._is_silent(dialog):
                # Its task is finished before another ingest goes on.
                await asyncio.shield(self._background.begin(self._replace(dialog)))

    async def _replace(self, dialog: Dialog) -> None:
        """Give a call to another instance; give it up if there is none for too long."""
        if not dialog.is_served:
            return  # It has ended while others were looked at.
        absent_seconds = time.monotonic() - dialog.heard_at
        gone_since, keep_seconds = time.time() - absent_seconds, min(KEEP_SECONDS, self._interval)
        if await self._reassignment.offer(dialog, gone_since, keep_seconds=keep_seconds):
            return
        if absent_seconds >= self._silence and dialog.is_served:
            _log.warning("dialog.application_gone", dialog_id=dialog.dialog_id)
            self._setup.give_up(dialog)
