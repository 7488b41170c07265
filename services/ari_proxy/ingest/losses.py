"""Events that the bus's buffer has lost, until their dialogs' applications are told of them.

The sequence of what comes later has a hole; a ProxyGap says why, from when to when, and how many.
It is sent once the buffer has room again, so it may come behind later events.
"""

import asyncio
import math
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

import msgspec

from ari_proxy.bus.base import Bus, DropReason
from ari_proxy.protocol import topics
from ari_proxy.protocol.ids import DialogId
from ari_proxy.protocol.messages import Event, timestamp_of
from ari_proxy.protocol.timestamps import seconds_of

from . import notices
from .dialogs import Dialog
from .notices import Gap, GapReason
from .pipeline import Pipeline
from .router import Router

#: Entries that are kept, one per dialog and reason; with more of them the oldest is not told.
MAX_LOSSES: Final = 10_000
#: Seconds between looks whether the bus has room for what is to be told.
LOOK_SECONDS: Final = 0.1
#: What stands in events of our own.
_OWN: Final = b'","type":"Proxy'


@dataclass(slots=True)
class _Loss:
    """What a dialog has lost for one reason; not in order: what was sent comes back later."""

    application: str
    #: Unix time of the first lost event; None if earlier ones may be missing too.
    since: float | None = math.inf
    #: Unix time of the last one.
    until: float = 0.0
    #: How many; None if that is not known.
    count: int | None = 0
    #: The body of a lost ProxyDialogEnded, or ''.
    end: str = ""

    def add(self, payload: bytes) -> None:
        """Take one more lost event."""
        at = seconds_of(timestamp_of(payload))
        self.until = max(self.until, at or 0.0)
        self._cover(at, 1)
        if _OWN in payload:
            event = msgspec.json.decode(payload, type=Event)
            if event.type == notices.GAP:
                gap = msgspec.json.decode(event.ari_body)
                since = gap["from"]
                self._cover(since if since is None else seconds_of(since), gap["count"])
            elif event.type == notices.DIALOG_ENDED:
                self.end = event.ari_body

    def _cover(self, since: float | None, count: int | None) -> None:
        self.since = None if self.since is None or since is None else min(self.since, since)
        self.count = None if self.count is None or count is None else self.count + count


class Losses:
    """Tells each dialog of one term what it has lost."""

    def __init__(
        self, bus: Bus, router: Router, *, buffer_bytes: int, is_permitted: Callable[[], bool]
    ) -> None:
        """Make one.

        Args:
            bus: which may lose what is published.
            router: knows the dialogs.
            buffer_bytes: of the bus. Losses are told while half of them are free.
            is_permitted: returns whether we may publish events now.
        """
        self._bus = bus
        self._router = router
        self._room = buffer_bytes // 2
        self._is_permitted = is_permitted
        self._losses: dict[tuple[str, GapReason], _Loss] = {}
        self._something_lost = asyncio.Event()

    def note(self, topic: str, payload: bytes, reason: DropReason) -> None:
        """Take a message that was lost; publishes nothing. Others than dialogs' events are let be.

        Nor is it told what nobody could hear: the connection does not allow us to publish there,
        or another ingest has taken over and tells of its own gap.
        """
        told_as = self._told_as(payload, reason)
        if told_as is None:
            return
        loss = self._losses.get((topic, told_as))
        if loss is None:
            if not (topics.is_events(topic) and topics.is_of_dialog(topic)):
                return
            loss = self._losses[topic, told_as] = self._new(topic)
        loss.add(payload)

    def _told_as(self, payload: bytes, reason: DropReason) -> GapReason | None:
        if reason == "full":
            return "buffer_full"
        if reason == "refused" and len(payload) > self._bus.max_message_bytes:
            return "too_large"
        return None

    def _new(self, topic: str) -> _Loss:
        if len(self._losses) >= MAX_LOSSES:
            del self._losses[next(iter(self._losses))]
        dialog = self._dialog_of(topic)
        self._something_lost.set()
        return _Loss(dialog.application if dialog is not None else "")

    def _dialog_of(self, topic: str) -> Dialog | None:
        return self._router.table.dialogs.get(topics.owner_of(topic))

    async def run(self, pipeline: Pipeline) -> None:
        """Tell what is lost when the bus has room again, for ever."""
        while True:
            await self._something_lost.wait()
            await self._bus.wait_connected()
            self.tell(pipeline)
            await asyncio.sleep(LOOK_SECONDS)

    def tell(self, pipeline: Pipeline) -> None:
        """Tell what can be told now, as far as the bus has room: it must not lose more by that."""
        for topic, reason in tuple(self._losses):
            if self._bus.buffered_bytes > self._room or not self._is_permitted():
                return
            dialog = self._dialog_of(topic)
            if dialog is None or dialog.held is None:
                self._tell(pipeline, topic, dialog, reason)
            elif dialog.is_abandoned:  # Nobody listens; else its application does not yet.
                self._losses.pop((topic, reason), None)
        if not self._losses:
            self._something_lost.clear()

    def _tell(
        self, pipeline: Pipeline, topic: str, dialog: Dialog | None, reason: GapReason
    ) -> None:
        loss = self._losses.pop((topic, reason), None)
        if loss is None:
            return
        now = time.time()
        gap = Gap(reason, loss.since, loss.until, loss.count)
        told = [(notices.GAP, gap.event(loss.application, now))]
        if loss.end and (dialog is None or dialog.is_end_told):
            told.append((notices.DIALOG_ENDED, loss.end))
        for number, (event_type, text) in enumerate(told, start=int(now * 1e6)):
            if dialog is not None:
                pipeline.notify(dialog, event_type, text)
            else:  # It is over and forgotten, and so is its sequence; that of a clock is higher.
                dialog_id = DialogId(topics.owner_of(topic))
                payload = pipeline.envelope(event_type, text, dialog_id, number)
                self._bus.publish(topic, payload)
