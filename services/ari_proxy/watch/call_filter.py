"""The filter of `calls`. Sans-I/O."""

import re
from dataclasses import dataclass
from typing import Final

from ari_proxy.tap.ending import ending_of, is_failed
from ari_proxy.tap.facts import CallFacts, ChannelFacts

from .formats import CallState

_SECONDS: Final = {"s": 1, "m": 60, "h": 3_600, "d": 86_400}
_DURATION: Final = re.compile(r"(\d+)([smhd])")


class DurationError(ValueError):
    """A text is no duration."""


def seconds_of(duration: str) -> float:
    """Return the seconds of a duration like 90s, 10m, 2h or 1d.

    Raises:
        DurationError: it is none.
    """
    found = _DURATION.fullmatch(duration)
    if found is None:
        raise DurationError(f"{duration!r} is no duration: write 90s, 10m, 2h or 1d")
    return int(found[1]) * _SECONDS[found[2]]


@dataclass(frozen=True, slots=True, kw_only=True)
class CallFilter:
    """Selects calls; an empty criterion matches all."""

    number: str = ""  #: part of a caller's, called or connected number, or of a channel's name
    application: str = ""
    cause: str = ""  #: a reason, Q.850's number, or part of the sentence
    since_seconds: float = 0.0  #: that it has been going on within this time; 0 for any time
    state: CallState = CallState.ALL
    only_failed: bool = False

    def passes(self, facts: CallFacts, now: float) -> bool:
        """Return whether a call matches; `now` is Unix time."""
        return (
            self.application in {"", facts.application}
            and self.state in {CallState.ALL, _state(facts)}
            and (not self.since_seconds or self._is_recent(facts, now))
            and (not self.only_failed or is_failed(facts))
            and any(self._has_number(channel) for channel in facts.channels.values() or [_NONE])
            and self._has_cause(facts)
        )

    def _is_recent(self, facts: CallFacts, now: float) -> bool:
        return (facts.ended_at or now) >= now - self.since_seconds

    def _has_number(self, channel: ChannelFacts) -> bool:
        own = channel.caller, channel.called, channel.connected, channel.name
        return any(self.number in text for text in own)

    def _has_cause(self, facts: CallFacts) -> bool:
        if not self.cause:
            return True
        if not facts.ended_at:
            return False
        if self.cause.isdecimal():
            return facts.main is not None and str(facts.main.cause) == self.cause
        ending = ending_of(facts)
        return self.cause == ending.reason or self.cause.casefold() in ending.sentence.casefold()


def _state(facts: CallFacts) -> CallState:
    return CallState.ENDED if facts.ended_at else CallState.OPEN


_NONE: Final = ChannelFacts("")
