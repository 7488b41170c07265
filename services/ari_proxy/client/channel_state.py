"""What is known of a channel, by the events of its call. Sans-I/O.

An event tells all of a channel but its variables; those are told one by one. Around a lost
connection a message may come twice, so each event counts by its `sequence`, in whatever order they
come. After a gap all is to be read again.
"""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Final
from weakref import WeakValueDictionary

from .ari.events import ChannelVarset, StasisStart
from .ari.model import Event
from .ari.models import CallerID, Channel, DialplanCEP
from .channel_events import channels_in
from .events import ProxyGap

#: Variables to keep of a channel; those that were told first give place to others.
MAX_VARIABLES: Final = 200

_NOBODY: Final = CallerID(name="", number="")
_NOWHERE: Final = DialplanCEP(context="", exten="", priority=0, app_name="", app_data="")


class TrackedChannel:
    """The state of one channel."""

    __slots__ = (
        "__weakref__",
        "_args",
        "_channel",
        "_entered",
        "_is_stale",
        "_misses",
        "_sequence",
        "_stale_variables",
        "_variables",
        "channel_id",
    )

    def __init__(self, channel_id: str) -> None:
        self.channel_id = channel_id
        self._channel: Channel | None = None
        #: Of the event that has told `_channel`; and `_args`.
        self._sequence = -1
        self._entered = -1
        self._args: tuple[str, ...] = ()
        #: By name, the sequence of the event that has told it, and the value.
        self._variables: dict[str, tuple[int, str]] = {}
        #: How many gaps there were.
        self._misses = 0
        self._is_stale = False
        self._stale_variables: set[str] = set()

    @property
    def is_known(self) -> bool:
        """Whether anything was told of it."""
        return self._channel is not None

    @property
    def is_uncertain(self) -> bool:
        """Whether events may be missing, so that it is to be read again."""
        return self._is_stale or bool(self._stale_variables)

    @property
    def state(self) -> str:
        """Asterisk's name of its state, like `Ring` or `Up`; '' if it is not known."""
        return self._channel.state if self._channel else ""

    @property
    def caller(self) -> CallerID:
        """Who is at its other end; empty if that is not known."""
        return self._channel.caller if self._channel else _NOBODY

    @property
    def connected(self) -> CallerID:
        """Whom its other end is connected with; empty if that is not known."""
        return self._channel.connected if self._channel else _NOBODY

    @property
    def dialplan(self) -> DialplanCEP:
        """Its place in the dialplan; empty if that is not known."""
        return self._channel.dialplan if self._channel else _NOWHERE

    @property
    def language(self) -> str:
        """Of its sounds, like `en`; '' if it is not known."""
        return self._channel.language if self._channel else ""

    @property
    def args(self) -> tuple[str, ...]:
        """The arguments with which it has entered the application last."""
        return self._args

    @property
    def variables(self) -> dict[str, str]:
        """The values of variables that were told so far, by name."""
        return {name: value for name, (_, value) in self._variables.items()}

    def take(self, event: Event, channel: Channel) -> None:
        """Handle an event that tells of the channel.

        Args:
            event: of the call.
            channel: what it tells.
        """
        number = event.sequence
        if number >= self._sequence:
            self._sequence, self._channel, self._is_stale = number, channel, False
        for name, value in (channel.channelvars or {}).items():
            self._set(name, str(value), number)
        if isinstance(event, ChannelVarset):
            self._set(event.variable, event.value, number)
        elif isinstance(event, StasisStart) and event.channel is channel:
            self._enter(event.args, number)

    def _enter(self, args: tuple[str, ...], number: int) -> None:
        if number >= self._entered:
            self._entered, self._args = number, args

    def _set(self, name: str, value: str, number: int) -> None:
        if name in self._variables and number < self._variables[name][0]:
            return
        self._variables.pop(name, None)
        self._variables[name] = number, value
        self._stale_variables.discard(name)
        if len(self._variables) > MAX_VARIABLES:
            first = next(iter(self._variables))
            del self._variables[first]
            self._stale_variables.discard(first)

    def miss(self) -> None:
        """Note that events may be missing."""
        self._misses += 1
        self._is_stale = True
        self._stale_variables = {*self._variables}

    @contextmanager
    def reading(self) -> Iterator[None]:
        """Read it in a block; after a gap in the block it is to be read again.

        What Asterisk has answered may be older than that gap.
        """
        misses = self._misses
        yield
        if self._misses > misses:
            self.miss()

    def read(self, channel: Channel | None) -> None:
        """Note what Asterisk has answered; None if there is no such channel.

        What an event has told meanwhile is newer.
        """
        if channel is None:
            self._stale_variables = set()
        elif self._is_stale or not self.is_known:
            self._channel = channel
        self._is_stale = False

    @property
    def asked_variables(self) -> list[str]:
        """The variables to be read again. Asterisk has none for one that is empty."""
        return sorted(name for name in self._stale_variables if self._variables[name][1])

    def read_variables(self, values: Mapping[str, str]) -> None:
        """Note the values of variables; those that were to be read and are missing are forgotten.

        What an event has told meanwhile is newer.
        """
        for name in self._stale_variables:
            number, _ = self._variables.pop(name)
            if name in values:
                self._variables[name] = number, values[name]
        self._stale_variables = set()


class TrackedChannels:
    """The states of those channels of a call that somebody has a handle of."""

    def __init__(self) -> None:
        self._states: WeakValueDictionary[str, TrackedChannel] = WeakValueDictionary()

    def of(self, channel_id: str) -> TrackedChannel:
        """Return the state of a channel: it is kept as long as somebody has it."""
        state = self._states.get(channel_id)
        if state is None:
            state = self._states[channel_id] = TrackedChannel(channel_id)
        return state

    def take(self, event: Event) -> None:
        """Handle an event of the call."""
        if isinstance(event, ProxyGap):
            for state in self._states.values():
                state.miss()
        for channel in channels_in(event):
            known = self._states.get(channel.id)
            if known is not None:
                known.take(event, channel)

    @property
    def uncertain(self) -> list[TrackedChannel]:
        """Those that are to be read again."""
        return [state for state in self._states.values() if state.is_uncertain]
