"""Events as applications get them: Asterisk's, all typed, and ari-proxy's own.

`decode` never fails: an event of an unknown type, or of another shape than its type should have, is
a `RawEvent`. Each event has `raw`, the JSON that was received.
"""

from datetime import datetime
from functools import cache
from typing import Final

import msgspec

from ari_proxy.protocol.malformed import UNDECODABLE

from .ari import events as asterisk_events
from .ari import model
from .ari.events import *  # noqa: F403  Asterisk's events are imported from here
from .ari.model import *  # noqa: F403  and what all events have in common


class ProxyGap(model.Event, frozen=True, kw_only=True):
    """Events may be missing: read again what you need to know (docs/reference/wire.md)."""

    reason: str
    #: The earliest time at which one may be missing; None if it is not known.
    from_: datetime | None = msgspec.field(default=None, name="from")
    #: The latest one.
    to: datetime | None = None
    #: How many at most; None if it is not known.
    count: int | None = None


class ProxyDialogEnded(model.Event, frozen=True, kw_only=True):
    """The dialog has ended, and Asterisk's events did not say so."""

    reason: str
    #: Channels whose end was not seen.
    channels: tuple[str, ...] = ()


class ProxyRecovered(model.Event, frozen=True, kw_only=True):
    """These dialogs of a server are open, and all others have ended."""

    reason: str
    dialogs: tuple[str, ...] = ()


class ProxyProbe(model.Event, frozen=True, kw_only=True):
    """Nothing has happened: it shows whether the application listens."""


#: Any event that is known here.
KnownEvent = asterisk_events.AnyEvent | ProxyGap | ProxyDialogEnded | ProxyRecovered | ProxyProbe

_UNKNOWN: Final = "Invalid value"


def decode(body: str) -> model.Event:
    """Return an event; a RawEvent if its type is not known, or if it is not as its type should be.

    Args:
        body: the JSON as Asterisk or ari-proxy has sent it: `ari_body` of an Event on the bus.
    """
    try:
        event: model.Event = _decoder().decode(body)
    except UNDECODABLE as error:
        return model.raw_event(body, "" if _is_unknown_type(str(error)) else str(error))
    return model.with_raw(event, body)


def _is_unknown_type(problem: str) -> bool:
    return problem.startswith(_UNKNOWN) and problem.endswith("`$.type`")


@cache
def _decoder() -> "msgspec.json.Decoder[KnownEvent]":
    """Return the decoder of all types: made once, when the first event comes."""
    return msgspec.json.Decoder(KnownEvent)
