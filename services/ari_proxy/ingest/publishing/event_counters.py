"""Plain counters for the event path, exported at scrape time so that an event takes no lock."""

from dataclasses import dataclass, field
from typing import Final

from ari_proxy.ari.event_types import EVENT_TYPES

OTHER: Final = "other"
TYPES: Final = (*EVENT_TYPES, OTHER)


@dataclass(slots=True)
class EventCounters:
    """Counters that outlive an active period."""

    #: ARI events by type, those that Asterisk 22 does not describe as `other`.
    received: dict[str, int] = field(default_factory=lambda: dict.fromkeys(TYPES, 0))
    #: Of the frames of the websocket.
    received_bytes: int = 0
    #: Events given to the bus, or held for an application that is about to listen.
    published: int = 0
    #: Unix nanoseconds of the last event, 0 if there was none.
    last_event_ns: int = 0

    def count_malformed(self, size: int) -> None:
        """Count the bytes of a frame that is no event."""
        self.received_bytes += size

    def count_received(self, event_type: str, size: int) -> None:
        """Count an event, and the bytes of its frame."""
        self.received_bytes += size
        received = self.received
        received[event_type if event_type in received else OTHER] += 1

    def count_routed(self, dialogs: int, now_ns: int) -> None:
        """Count an event as published once for each of its dialogs; it is the last one so far."""
        self.published += dialogs
        self.last_event_ns = now_ns

    def count_own(self) -> None:
        """Count an event of the proxy itself as published."""
        self.published += 1
