"""What is known of a call from copies of its messages: its channels, its commands, its end.

Sans-I/O.
"""

from collections.abc import Iterable, Sequence
from typing import Final, Literal

import msgspec

#: Of one call; of more the first are kept.
MAX_CHANNELS: Final = 32
MAX_COMMANDS: Final = 16

#: Who asked for a channel's end: the device or the far end, or something within Asterisk, as a
#: command or the dialplan is.
HungUpBy = Literal["", "peer", "asterisk"]


class ChannelFacts(msgspec.Struct, omit_defaults=True):
    """What is known of one channel; times in Unix seconds, 0 if it is not known."""

    channel_id: str
    name: str = ""
    protocol_id: str = ""  #: SIP's Call-ID, for one
    caller: str = ""
    caller_name: str = ""
    connected: str = ""
    called: str = ""  #: the extension where it entered the dialplan
    answered_at: float = 0.0
    hung_up: HungUpBy = ""
    left_at: float = 0.0  #: when it left the application
    ended_at: float = 0.0
    cause: int = 0  #: Q.850
    cause_text: str = ""
    tech_cause: int = 0  #: the channel driver's, like SIP's status


class CommandFacts(msgspec.Struct, omit_defaults=True):
    """One command that has failed, or that has made a channel leave."""

    at: float
    request: str  #: method and path
    channel_id: str = ""
    status: int = 0
    message: str = ""
    #: The command before it, if that has failed, with its status.
    after: str = ""


class CallFacts(msgspec.Struct, omit_defaults=True):
    """What is known of one call; times in Unix seconds, 0 if they are not known."""

    dialog_id: str = ""
    server_id: str = ""
    application: str = ""
    channel_id: str = ""  #: of the channel that began it
    started_at: float = 0.0
    ended_at: float = 0.0
    #: Its first events were not kept: `started_at` and `channel_id` are of those that were.
    lacks_beginning: bool = False
    is_accepted: bool = False  #: an application had its AppStart, or its events
    unheard: int = 0  #: events that no application took
    end_reason: str = ""  #: of its ProxyDialogEnded
    gaps: list[str] = []  #: reasons of its ProxyGaps
    channels: dict[str, ChannelFacts] = {}
    failed: list[CommandFacts] = []
    #: Commands that made a channel leave the application: hang-up, continue, move, redirect.
    departures: list[CommandFacts] = []

    @property
    def main(self) -> ChannelFacts | None:
        """The channel that stands for the call: the first, or the one that left last."""
        if self.channel_id in self.channels:
            return self.channels[self.channel_id]
        return max(self.channels.values(), key=lambda one: one.left_at, default=None)

    def has_id(self, text: str) -> bool:
        """Return whether it has a dialog, channel or protocol id."""
        ids = {one.channel_id for one in self.channels.values()}
        ids |= {one.protocol_id for one in self.channels.values()}
        return text in ids or text == self.dialog_id

    def seconds(self, now: float) -> float:
        """Return how long it was answered, in all or until `now` (Unix time); 0 if it was not."""
        main = self.main
        if main is None or not main.answered_at:
            return 0.0
        return max(0.0, (main.left_at or main.ended_at or self.ended_at or now) - main.answered_at)

    def departure_of(self, channel_id: str) -> CommandFacts | None:
        """Return the command that made a channel leave, or None."""
        own = (command for command in self.departures if command.channel_id == channel_id)
        return next(own, None)


def calls_of(parts: Iterable[CallFacts]) -> list[CallFacts]:
    """Return the calls of which processes have told, in the order in which they began.

    What only commands tell of is left out as soon as an ingest has told of calls: it has forgotten
    that one, and commands don't tell when a call is over.
    """
    calls: dict[str, list[CallFacts]] = {}
    for part in parts:
        calls.setdefault(part.dialog_id, []).append(part)
    found = [merged(known) for known in calls.values()]
    if any(map(_has_events, found)):
        found = list(filter(_has_events, found))
    return sorted(found, key=lambda facts: facts.started_at)


def _has_events(facts: CallFacts) -> bool:
    """Return whether an ingest has told of a call."""
    return bool(facts.is_accepted or facts.unheard or facts.ended_at)


def merged(parts: Sequence[CallFacts]) -> CallFacts:
    """Return what several processes know of one call together.

    Args:
        parts: of the same dialog, one at least, in any order; each has seen some of the call's
            messages.
    """
    parts = sorted(parts, key=_begins_best)
    by_end = sorted(parts, key=lambda part: part.ended_at, reverse=True)
    return CallFacts(
        dialog_id=parts[0].dialog_id,
        server_id=parts[0].server_id,
        application=_first(part.application for part in parts),
        channel_id=_first(part.channel_id for part in parts),
        started_at=_earliest(part.started_at for part in parts),
        ended_at=by_end[0].ended_at,
        lacks_beginning=parts[0].lacks_beginning,
        is_accepted=any(part.is_accepted for part in parts),
        unheard=sum(part.unheard for part in parts),
        end_reason=_first(part.end_reason for part in by_end),
        gaps=[gap for part in parts for gap in part.gaps][:MAX_COMMANDS],
        channels=_merged_channels(parts),
        failed=_in_order(command for part in parts for command in part.failed),
        departures=_in_order(command for part in parts for command in part.departures),
    )


def _begins_best(facts: CallFacts) -> tuple[bool, bool, float]:
    """Return what sorts first the part of the ingest that saw a call begin."""
    return not _has_events(facts), facts.lacks_beginning, facts.started_at


def _first(texts: Iterable[str]) -> str:
    return next(filter(None, texts), "")


def _earliest(times: Iterable[float]) -> float:
    return min(filter(None, times), default=0.0)


def _in_order(commands: Iterable[CommandFacts]) -> list[CommandFacts]:
    return sorted(commands, key=lambda command: command.at)[:MAX_COMMANDS]


def _merged_channels(parts: Sequence[CallFacts]) -> dict[str, ChannelFacts]:
    known: dict[str, ChannelFacts] = {}
    for part in parts:
        for channel_id, channel in part.channels.items():
            if channel_id in known:
                known[channel_id] = _merged_channel(known[channel_id], channel)
            elif len(known) < MAX_CHANNELS:
                known[channel_id] = channel
    return known


def _merged_channel(own: ChannelFacts, other: ChannelFacts) -> ChannelFacts:
    """Return a channel with what another part knows of it, where the first one does not."""
    both = {
        name: getattr(own, name) or getattr(other, name) for name in ChannelFacts.__struct_fields__
    }
    both["answered_at"] = _earliest([own.answered_at, other.answered_at])
    both["left_at"] = max(own.left_at, other.left_at)
    both["ended_at"] = max(own.ended_at, other.ended_at)
    return ChannelFacts(**both)
