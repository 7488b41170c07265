"""What each dialog has lost, until its application is told of it."""

import asyncio
import math
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Final

import msgspec

from ari_proxy.bus.base import Bus, DropReason
from ari_proxy.ingest.routing import proxy_events
from ari_proxy.ingest.routing.dialog_table import DialogTable
from ari_proxy.ingest.routing.proxy_events import GapReason
from ari_proxy.protocol import topics
from ari_proxy.protocol.messages import Event, timestamp_of
from ari_proxy.protocol.timestamps import seconds_of

#: Entries that are kept, one per dialog and reason; with more of them the oldest is not told.
MAX_LOSSES: Final = 10_000
#: What stands in events of our own.
_OWN: Final = b'","type":"Proxy'


@dataclass(slots=True)
class Loss:
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
            if event.type == proxy_events.GAP:
                gap = msgspec.json.decode(event.ari_body)
                since = gap["from"]
                self._cover(since if since is None else seconds_of(since), gap["count"])
            elif event.type == proxy_events.DIALOG_ENDED:
                self.end = event.ari_body

    def _cover(self, since: float | None, count: int | None) -> None:
        self.since = None if self.since is None or since is None else min(self.since, since)
        self.count = None if self.count is None or count is None else self.count + count


class LossLedger:
    """The losses of one server's dialogs, one for each dialog and reason."""

    def __init__(self, bus: Bus, dialogs: DialogTable, *, capacity: int = MAX_LOSSES) -> None:
        self._bus = bus
        self._dialogs = dialogs
        self._capacity = capacity
        self._losses: dict[tuple[str, GapReason], Loss] = {}
        self._is_filled = asyncio.Event()

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

    def _new(self, topic: str) -> Loss:
        if len(self._losses) >= self._capacity:
            del self._losses[next(iter(self._losses))]
        dialog = self._dialogs.dialogs.get(topics.owner_of(topic))
        self._is_filled.set()
        return Loss(dialog.application if dialog is not None else "")

    def entries(self) -> Iterable[tuple[str, GapReason]]:
        """Return the topics of dialogs that have lost something, each with the reason."""
        return tuple(self._losses)

    def remove(self, topic: str, reason: GapReason) -> Loss | None:
        """Remove an entry and return it; None if there is none any more."""
        loss = self._losses.pop((topic, reason), None)
        if not self._losses:
            self._is_filled.clear()
        return loss

    async def wait_filled(self) -> None:
        """Return once there is an entry."""
        await self._is_filled.wait()
