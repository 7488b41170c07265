"""The tap of one process: publishes copies of messages while somebody watches."""

import time
from collections.abc import Callable, Mapping
from itertools import islice

import msgspec
import structlog

from ari_proxy.bus.base import Bus, Message, SubscriptionHandle
from ari_proxy.clock import Clock
from ari_proxy.protocol import topics
from ari_proxy.protocol.ids import ServerId
from ari_proxy.protocol.malformed import UNDECODABLE

from . import records
from .records import Kind, OpenDialogs, TapRequest, Watchers

_log = structlog.get_logger()
_decoder = msgspec.json.Decoder(TapRequest)


class Tap:
    """Copies messages for watchers. Without a watcher it costs one read of `is_on`."""

    def __init__(self, server: ServerId, bus: Bus, *, clock: Clock = time.monotonic) -> None:
        self._server = server
        self._bus = bus
        self._clock = clock
        self._watchers = Watchers()
        #: True while there may be a watcher.
        self.is_on = False
        self._dialogs: Callable[[], Mapping[str, str] | None] = lambda: None

    def set_dialogs(self, dialogs: Callable[[], Mapping[str, str] | None]) -> None:
        """Set the source of an ingest's open dialogs.

        Args:
            dialogs: returns dialog ids with their applications; None while ingest is not active.
        """
        self._dialogs = dialogs

    async def listen(self) -> SubscriptionHandle:
        """Subscribe to requests of watchers."""
        return await self._bus.subscribe(topics.tap_requests(self._server), self._on_request)

    def _on_request(self, message: Message) -> None:
        try:
            watch = _decoder.decode(message.payload)
        except UNDECODABLE as error:
            _log.warning("watch.malformed", error=str(error))
            return
        self._watchers.add(watch, self._clock())
        self.is_on = True
        dialogs = self._dialogs()
        if message.reply and dialogs is not None:
            some = dict(islice(dialogs.items(), records.MAX_DIALOGS))
            self._bus.publish(message.reply, msgspec.json.encode(OpenDialogs(some)))

    def copy(self, kind: Kind, dialog_id: str, message: bytes = b"{}") -> None:
        """Publish a copy of a message if its dialog is watched.

        Args:
            kind: of the record.
            dialog_id: of the message, or ''.
            message: JSON, as on the bus.
        """
        if not self.is_on:
            return
        now = self._clock()
        self.is_on = self._watchers.is_any(now)
        if not self.is_on or not self._watchers.wants(dialog_id):
            return
        skipped = self._watchers.admit(now)
        if skipped is None:
            return
        if skipped:
            self._publish("skipped", "", b'{"count":%d}' % skipped)
        self._publish(kind, dialog_id, message)

    def _publish(self, kind: Kind, dialog_id: str, message: bytes) -> None:
        record = records.encode(kind, time.time(), self._server, dialog_id, message)
        # Lost rather than late.
        self._bus.publish(topics.tap_records(self._server), record, once=True)
