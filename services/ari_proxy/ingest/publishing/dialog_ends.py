"""The ends of dialogs, published to their applications."""

import asyncio
import contextlib
import time
from collections.abc import Sequence
from typing import Final

import structlog

from ari_proxy.bus.base import Bus
from ari_proxy.bus.errors import BusRefusedError, BusUnavailableError
from ari_proxy.ingest.routing import proxy_events
from ari_proxy.ingest.routing.dialog import Dialog
from ari_proxy.ingest.routing.phase import DeliveryPhase
from ari_proxy.ingest.routing.proxy_events import EndReason
from ari_proxy.protocol import topics
from ari_proxy.protocol.ids import DialogId

from .background import BackgroundWork
from .dialog_stream import DialogStream

_log = structlog.get_logger()

#: Seconds for a message that may be lost.
_OFFER_SECONDS: Final = 1.0
_OPEN: Final = DeliveryPhase.OPEN


class DialogEnds:
    """Publishes the ProxyDialogEnded of one server's dialogs; never waits."""

    def __init__(
        self,
        bus: Bus,
        stream: DialogStream,
        background: BackgroundWork,
        *,
        keep_seconds: float | None,
    ) -> None:
        """Initialise for an active ingest.

        Args:
            bus: publishes the ends that are not in a dialog's stream.
            stream: of the dialogs.
            background: runs the sending of ends that may be lost.
            keep_seconds: how long the bus keeps a message for a client that may come; None for any
                time.
        """
        self._bus = bus
        self._stream = stream
        self._background = background
        self._keep_seconds = keep_seconds

    def publish(self, dialog: Dialog, reason: EndReason, channels: Sequence[str] = ()) -> None:
        """Publish the ProxyDialogEnded of a dialog, behind the events that are held for it.

        Args:
            dialog: one that has ended and was not reported. If events are held it has to be set up,
                as with any event.
            reason: why it has ended.
            channels: those without a ChannelDestroyed or StasisEnd of their own.
        """
        dialog.note_end_reported()
        text = proxy_events.dialog_ended(dialog.application, channels, time.time(), reason)
        if dialog.delivery is _OPEN or dialog.held:
            self._stream.notify(dialog, proxy_events.DIALOG_ENDED, text)
        elif dialog.is_known_to_application:
            self._send_end(dialog, text)

    def _send_end(self, dialog: Dialog, text: str) -> None:
        """Send the end to a client that may not be there, or not yet: no event waits for it."""
        sequence = dialog.next_sequence()
        payload = self._stream.envelope(proxy_events.DIALOG_ENDED, text, dialog.dialog_id, sequence)
        has_queue = dialog.is_abandoned or dialog.delivery is DeliveryPhase.ACCEPTED
        if has_queue and self._bus.queues is not None:
            self._bus.publish(dialog.topic, payload)
        else:
            self._background.begin(self._offer(dialog, payload))

    async def _offer(self, dialog: Dialog, payload: bytes) -> None:
        """Send an event of a dialog to a client that listens now, if there is one."""
        with contextlib.suppress(TimeoutError, BusUnavailableError):
            async with asyncio.timeout(_OFFER_SECONDS):
                try:
                    await self._bus.publish_to_listener(
                        dialog.topic, payload, keep_seconds=self._keep_seconds
                    )
                except BusRefusedError as error:
                    own = {"dialog_id": dialog.dialog_id, "application": dialog.application}
                    _log.error("bus.message_refused", **own, error=str(error))

    def publish_orphaned(self, dialog_id: DialogId, application: str) -> None:
        """Publish the end of a dialog that no ingest has any more."""
        now = time.time()
        text = proxy_events.dialog_ended(application, [], now, "channels_gone")
        payload = self._stream.envelope(proxy_events.DIALOG_ENDED, text, dialog_id, int(now * 1e6))
        self._bus.publish(topics.events(dialog_id), payload)
