"""The messages of a call, kept to be drawn when a test fails."""

import asyncio
from collections import deque
from typing import Final

import msgspec

from ari_proxy.bus.base import Bus
from ari_proxy.protocol.ids import ServerId
from ari_proxy.tap.records import Kind, TapRecord
from ari_proxy.tap.tap import Tap
from ari_proxy.watch.render import steps, text
from ari_proxy.watch.render.descriptions import message_of

#: Messages to keep, the last ones.
MAX_RECORDS: Final = 2_000
#: What the types of ari-proxy's own events begin with.
_OURS: Final = "Proxy"


class CallRecord(Tap):
    """A tap whose copies stay in this process, with the event loop's time."""

    def __init__(self, server: ServerId, bus: Bus) -> None:
        super().__init__(server, bus)
        self.is_on = True
        self._kept: deque[TapRecord] = deque(maxlen=MAX_RECORDS)

    def copy(self, kind: Kind, dialog_id: str, message: bytes = b"{}") -> None:
        """Keep a copy of a message, unless it is an event of Asterisk: `add_event` has had it."""
        record = self.record_of(kind, dialog_id, message)
        if kind != "event" or str(message_of(record).get("type", "")).startswith(_OURS):
            self.keep(record)

    @staticmethod
    def record_of(kind: Kind, dialog_id: str, message: bytes) -> TapRecord:
        """Return a record of a message that has come now."""
        now = asyncio.get_running_loop().time()
        return TapRecord(kind, now, "", dialog_id, msgspec.Raw(message))

    def keep(self, record: TapRecord) -> None:
        """Keep a record for the ladder."""
        self._kept.append(record)

    def add_event(self, event_type: str, text: str) -> None:
        """Keep an event as Asterisk sends it, whether or not the handler gets it in time."""
        message = msgspec.json.encode({"type": event_type, "ari_body": text})
        self.keep(self.record_of("event", "", message))

    def ladder(self) -> str:
        """Return all that was kept as a ladder."""
        dialog_id = next((record.dialog_id for record in self._kept if record.dialog_id), "")
        return text.draw(dialog_id, [steps.step_of(record) for record in self._kept])
