"""Plain counters for the event path, exported at scrape time so that an event takes no lock."""

from dataclasses import dataclass, field
from typing import Final

from ari_proxy.ari.events import EVENT_TYPES

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
