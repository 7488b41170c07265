"""Events of the proxy itself, about what Asterisk cannot know. Sans-I/O.

They look like ARI events, with types that begin with `Proxy`. The exception is a `StasisStart` with
`"reconstructed": true`: it stands for a lost one.
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
#: In place of a Unix time: events are missing since an unknown time.
UNKNOWN: Final = 0.0

#: Why events may be missing.
GapReason = Literal[
    "websocket_lost",
    "ingest_restarted",
    "buffer_full",  # The bus was away or slow for longer than ours lasts.
    "too_large",  # The bus takes no messages of this size.
    "unheard",  # Nobody listened on NATS, or RabbitMQ's queue was away.
    "application_gone",  # Its instance of the application has gone, and another one has the call.
]
#: Why a dialog has ended.
EndReason = Literal[
    "channels_left",  # Its last channel has left Stasis or was destroyed: the normal end.
    "not_created",  # Asterisk has refused the request that was to bring it its first channel.
    "no_channel",  # No channel has come, and Asterisk has none that was asked for.
    "no_listener",  # Its application did not listen, and `ingest.no_listener` was applied.
    "claimed_elsewhere",  # Asterisk offered its call, and has given it to another application.
    "offer_over",  # … offers it no more: the caller has hung up, or the dialplan goes on.
    "channels_gone",  # Its channels have ended while no ingest was connected.
    "asterisk_restarted",  # … since Asterisk was.
    "server_removed",  # The proxy serves its server no more, and no other ingest goes on with it.
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
        """Return the ProxyGap for one application.

        Args:
            application: gets it.
            now: Unix time.
        """
        since = _time(self.since) if self.since is not None else None
        until = _time(self.until if self.until is not None else now)
        missing = {"count": self.lost, "from": since, "to": until}
        return _encode(GAP, application, now, reason=self.reason, **missing)


class Missing:
    """Since when events may be missing."""

    def __init__(self) -> None:
        #: Unix time, or UNKNOWN; None if none are.
        self.since: float | None = None

    def note(self, since: float | None) -> None:
        """Record that events may be missing since a time (Unix, or None); an earlier one stays."""
        times = [time for time in (self.since, since) if time is not None]
        self.since = min(times, default=None)

    def forget(self) -> None:
        """Forget the time: all applications are informed."""
        self.since = None

    @property
    def gap(self) -> Gap:
        """The gap to report."""
        if self.since == UNKNOWN:
            return Gap("ingest_restarted")
        return Gap("websocket_lost", self.since)


def dialog_ended(application: str, channels: Sequence[str], now: float, reason: EndReason) -> str:
    """Return the ProxyDialogEnded of a dialog.

    Args:
        application: gets it.
        channels: those without a ChannelDestroyed or StasisEnd of their own.
        now: Unix time.
        reason: why the dialog has ended.
    """
    return _encode(DIALOG_ENDED, application, now, reason=reason, channels=list(channels))


def recovered(dialog_ids: Sequence[str], now: float, reason: GapReason) -> str:
    """Return the ProxyRecovered of the server, with the ids of all open dialogs.

    A dialog that is not listed has ended. If it ended while no ingest was connected, only its
    application remembers it.
    """
    return _encode(RECOVERED, "", now, reason=reason, dialogs=list(dialog_ids))


def probe(application: str, now: float) -> str:
    """Return a ProxyProbe: an event that only shows whether an application listens."""
    return _encode(PROBE, application, now)


def stasis_start(state: ChannelState, now: float) -> str:
    """Return a StasisStart in place of a lost one."""
    channel = msgspec.Raw(state.description.encode())
    arguments = list(state.arguments)
    fields = {"args": arguments, "channel": channel, "reconstructed": True}
    return _encode("StasisStart", state.application, now, **fields)
