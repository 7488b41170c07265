"""Events of our own: what applications have to know and Asterisk can't tell. Pure.

They look like ARI events, with types that begin with `Proxy`. `StasisStart` is the exception: it is
told again for a channel whose own one was lost, with `"reconstructed": true`.
"""

from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Any, Final, Literal, NamedTuple

import msgspec

from ari_proxy.ari.snapshot import ChannelState

GAP: Final = "ProxyGap"
DIALOG_ENDED: Final = "ProxyDialogEnded"
PROBE: Final = "ProxyProbe"
RECOVERED: Final = "ProxyRecovered"
#: In place of a Unix time: nobody knows since when events are missing.
UNKNOWN: Final = 0.0

#: Why events may be missing.
GapReason = Literal[
    "websocket_lost",
    "ingest_restarted",
    "buffer_full",  # The bus was away or slow for longer than ours lasts.
    "too_large",  # The bus takes no messages of this size.
]
#: Why a dialog is over.
EndReason = Literal[
    "channels_left",  # Its last channel has left Stasis or was destroyed: the normal end.
    "not_created",  # Asterisk has refused the request that was to bring it its first channel.
    "no_channel",  # No channel has come, and Asterisk has none that was asked for.
    "no_listener",  # Its application did not listen, and `ingest.no_listener` was applied.
    "channels_gone",  # Its channels have ended while nobody saw it.
    "asterisk_restarted",  # … since Asterisk was.
]


def _encode(event_type: str, application: str, now: float, **fields: Any) -> str:
    event = {"type": event_type, "timestamp": _time(now), "application": application, **fields}
    return msgspec.json.encode(event).decode()


def _time(seconds: float) -> str:
    """Return Unix time as Asterisk writes it, in UTC."""
    return datetime.fromtimestamp(seconds, UTC).isoformat(timespec="milliseconds")


class Gap(NamedTuple):
    """Why, and since when, events may be missing."""

    reason: GapReason
    #: Unix time, or None if it is not known.
    since: float | None = None
    #: Unix time, or None for now.
    until: float | None = None
    #: How many at most, or None if it is not known.
    lost: int | None = None

    def event(self, application: str, now: float) -> str:
        """Return the event that says so."""
        since = _time(self.since) if self.since is not None else None
        until = _time(self.until if self.until is not None else now)
        missing = {"count": self.lost, "from": since, "to": until}
        return _encode(GAP, application, now, reason=self.reason, **missing)


class Missing:
    """Keeps since when events may be missing."""

    def __init__(self) -> None:
        #: Unix time, or UNKNOWN; None if none are.
        self.since: float | None = None

    def note(self, since: float | None) -> None:
        """Take that events may be missing since then; an earlier time stays."""
        times = [time for time in (self.since, since) if time is not None]
        self.since = min(times, default=None)

    def forget(self) -> None:
        """Take that everybody knows."""
        self.since = None

    @property
    def gap(self) -> Gap:
        """What to tell of it."""
        if self.since == UNKNOWN:
            return Gap("ingest_restarted")
        return Gap("websocket_lost", self.since)


def dialog_ended(application: str, channels: Sequence[str], now: float, reason: EndReason) -> str:
    """Return the event that says: a dialog is over.

    Args:
        application: that served it.
        channels: whose own end nobody has seen.
        now: Unix time.
        reason: why it is over.
    """
    return _encode(DIALOG_ENDED, application, now, reason=reason, channels=list(channels))


def recovered(dialog_ids: Sequence[str], now: float, reason: GapReason) -> str:
    """Return the event of the server that says: these are all open dialogs, others are over.

    What ended while no ingest was there to see it is known to nobody but its application.
    """
    return _encode(RECOVERED, "", now, reason=reason, dialogs=list(dialog_ids))


def probe(application: str, now: float) -> str:
    """Return an event that only finds out whether somebody listens."""
    return _encode(PROBE, application, now)


def stasis_start(state: ChannelState, now: float) -> str:
    """Return the StasisStart of a channel whose own one was lost."""
    channel = msgspec.Raw(state.description.encode())
    arguments = list(state.arguments)
    fields = {"args": arguments, "channel": channel, "reconstructed": True}
    return _encode("StasisStart", state.application, now, **fields)
