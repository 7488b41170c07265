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
from .recorder import Recorder
from .records import Kind, OpenDialogs, RecordedAnswer, TapRequest, Watchers

_log = structlog.get_logger()


class Tap:
    """Copies messages for watchers and the recorder; without them it costs a read of `is_on`."""

    def __init__(
        self,
        server: ServerId,
        bus: Bus,
        *,
        recorder: Recorder | None = None,
        clock: Clock = time.monotonic,
    ) -> None:
        """Initialise without a watcher.

        Args:
            server: of the messages.
            bus: for the copies.
            recorder: keeps the messages; None for none.
            clock: monotonic seconds.
        """
        self._server = server
        self._bus = bus
        self._clock = clock
        self._recorder = recorder
        self._keep = recorder.keep if recorder is not None else None
        self._watchers = Watchers()
        self._is_watched = False
        #: True while there may be a watcher, or a recorder is there.
        self.is_on = recorder is not None
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
            request = records.request_of(message.payload)
        except UNDECODABLE as error:
            _log.warning("watch.malformed", error=str(error))
            return
        answer: OpenDialogs | RecordedAnswer | None
        if isinstance(request, TapRequest):
            answer = self._watch(request)
        else:
            answer = self._recorder.answer(request) if self._recorder is not None else None
        # Who may watch must not publish elsewhere with the rights of this process.
        if answer is not None and topics.is_for_replies(message.reply):
            self._bus.publish(message.reply, msgspec.json.encode(answer))

    def _watch(self, request: TapRequest) -> OpenDialogs | None:
        self._watchers.add(request, self._clock())
        self._is_watched = self.is_on = True
        dialogs = self._dialogs()
        return OpenDialogs(_some(dialogs, request.dialog_id)) if dialogs is not None else None

    def copy(self, kind: Kind, dialog_id: str, message: bytes = b"{}") -> None:
        """Keep a message, and publish a copy of it if its dialog is watched.

        Args:
            kind: of the record.
            dialog_id: of the message, or ''.
            message: JSON, as on the bus.
        """
        if self.is_on:
            at = time.time()
            if self._keep is not None:
                self._keep(kind, at, dialog_id, message)
            if self._is_watched:
                self._copy(kind, at, dialog_id, message)

    def _copy(self, kind: Kind, at: float, dialog_id: str, message: bytes) -> None:
        now = self._clock()
        self._is_watched = self._watchers.is_any(now)
        self.is_on = self._is_watched or self._recorder is not None
        if not self._is_watched or not self._watchers.wants(dialog_id):
            return
        skipped = self._watchers.admit(now)
        if skipped is None:
            return
        if skipped:
            self._publish("skipped", at, "", b'{"count":%d}' % skipped)
        self._publish(kind, at, dialog_id, message)

    def _publish(self, kind: Kind, at: float, dialog_id: str, message: bytes) -> None:
        record = records.encode(kind, at, self._server, dialog_id, message)
        # Lost rather than late.
        self._bus.publish(topics.tap_records(self._server), record, once=True)


def _some(dialogs: Mapping[str, str], wanted: str) -> dict[str, str]:
    """Return some of the dialogs, or the one that is wanted if it is open."""
    if wanted:
        return {wanted: dialogs[wanted]} if wanted in dialogs else {}
    return dict(islice(dialogs.items(), records.MAX_DIALOGS))
