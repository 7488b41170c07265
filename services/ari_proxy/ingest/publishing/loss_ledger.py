"""The events that each dialog has lost, until they are reported to its application."""

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

#: Entries that are kept, one per dialog and reason; beyond that the oldest is dropped unreported.
MAX_LOSSES: Final = 10_000
#: Seconds without a loss after which a listener that was away may be back: at first, at most.
FIRST_PAUSE_SECONDS: Final = 1.0
LAST_PAUSE_SECONDS: Final = 5.0
#: Part of all events of the proxy itself.
_OWN: Final = b'","type":"Proxy'


@dataclass(slots=True)
class Loss:
    """Events that a dialog has lost for one reason.

    They come in any order: the bus returns messages after others were dropped.
    """

    application: str
    #: Unix time of the first lost event; None if earlier ones may be missing too.
    since: float | None = math.inf
    #: Unix time of the last one.
    until: float = 0.0
    #: Number of events; None if it is not known.
    count: int | None = 0
    #: The body of a lost ProxyDialogEnded, or ''.
    end: str = ""
    #: Number of events that were lost here, those of the proxy itself left out.
    events: int = 0

    def add(self, payload: bytes) -> None:
        """Add a lost event."""
        at = seconds_of(timestamp_of(payload))
        self.until = max(self.until, at or 0.0)
        self._cover(at, 1)
        if _OWN not in payload:
            self.events += 1
        else:
            event = msgspec.json.decode(payload, type=Event)
            if event.type == proxy_events.GAP:
                gap = msgspec.json.decode(event.ari_body)
                since = gap["from"]
                self._cover(since if since is None else seconds_of(since), gap["count"])
            elif event.type == proxy_events.DIALOG_ENDED:
                self.end = event.ari_body

    @property
    def pause_seconds(self) -> float:
        """Seconds from the last loss to the next report; the longer the losses, the longer it is.

        A report may be lost itself, where nobody listens.
        """
        lasted = self.until - self.since if self.since is not None else 0.0
        return min(max(lasted / 2, FIRST_PAUSE_SECONDS), LAST_PAUSE_SECONDS)

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
        """Record a lost message, if it is an event of a dialog; publishes nothing.

        Losses that no report could reach are left out: the account may not publish there, or
        another ingest has taken over and reports its own gap.
        """
        gap_reason = self._gap_reason(payload, reason)
        if gap_reason is not None:
            self._add(topic, payload, gap_reason)

    def note_unheard(self, topic: str, payload: bytes) -> None:
        """Record an event that no listener got; publishes nothing.

        Once a call is over that is no loss: many applications leave before its last events.
        """
        dialog = self._dialogs.dialogs.get(topics.owner_of(topic))
        if dialog is not None and not dialog.is_ended:
            self._add(topic, payload, "unheard")

    def _add(self, topic: str, payload: bytes, gap_reason: GapReason) -> None:
        loss = self._losses.get((topic, gap_reason))
        if loss is None:
            if not (topics.is_events(topic) and topics.is_of_dialog(topic)):
                return
            loss = self._losses[topic, gap_reason] = self._new(topic)
        loss.add(payload)

    def _gap_reason(self, payload: bytes, reason: DropReason) -> GapReason | None:
        if reason == "full":
            return "buffer_full"
        if reason in ("returned", "rejected"):
            return "unheard"
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
        """Return the entries: the topic of a dialog, and the reason."""
        return tuple(self._losses)

    def is_quiet(self, topic: str, now: float) -> bool:
        """Return whether a listener may be back: nothing was lost for a while, in Unix time."""
        loss = self._losses.get((topic, "unheard"))
        return loss is not None and now >= loss.until + loss.pause_seconds

    def remove(self, topic: str, reason: GapReason) -> Loss | None:
        """Remove an entry and return it, or None if it is gone."""
        loss = self._losses.pop((topic, reason), None)
        if not self._losses:
            self._is_filled.clear()
        return loss

    async def wait_filled(self) -> None:
        """Return once there is an entry."""
        await self._is_filled.wait()
