"""Dialling several endpoints at once: the first one that answers has the call. Sans-I/O."""

from collections.abc import Mapping
from typing import Final

from ari_proxy.client.ari.events import ChannelDestroyed, ChannelStateChange, StasisStart
from ari_proxy.client.ari.model import Event
from ari_proxy.client.ari.models import Channel
from ari_proxy.client.errors import Busy, DialFailed, NoAnswer, Rejected
from ari_proxy.client.missed_events import MissedEvents

#: Q.850.
_USER_BUSY: Final = 17
_NO_USER_RESPONDING: Final = 18
_NO_ANSWER: Final = 19
#: Of a channel that is in an application: it is answered by then, unless it is heard early.
_STASIS: Final = "Stasis"
_UP: Final = "Up"


class DialRace:
    """The channels that were requested, and what has become of them."""

    def __init__(self, endpoints: Mapping[str, str], *, are_early: bool = False) -> None:
        """Begin.

        Args:
            endpoints: by the id of its channel, each endpoint.
            are_early: whether the channels are in the application before they are answered.
        """
        self._endpoints = dict(endpoints)
        self._are_early = are_early
        #: The channels that are in the application.
        self.entered: set[str] = set()
        #: By channel, the cause of its end; None if it was not told.
        self._failed: dict[str, int | None] = {}
        #: Those that are being hung up, and win no more.
        self._given_up: set[str] = set()
        #: The channel that has answered first.
        self.winner: str | None = None
        #: Behind which those that are pending are to be read again.
        self.missed = MissedEvents()

    @property
    def is_over(self) -> bool:
        """Whether one has answered, or all have failed."""
        return self.winner is not None or not self.pending

    @property
    def pending(self) -> list[str]:
        """The channels that have neither won nor failed: those that may ring."""
        return [name for name in self._endpoints if name not in {self.winner, *self._failed}]

    def take(self, event: Event) -> None:
        """Handle an event of the call."""
        self.missed.take(event)
        match event:
            case StasisStart() | ChannelStateChange():
                self._enter(event.channel, is_in=isinstance(event, StasisStart))
            case ChannelDestroyed():
                self.fail(event.channel.id, event.cause)

    def fail(self, channel_id: str, cause: int | None = None) -> None:
        """Note that a channel has ended, or that there is none."""
        if channel_id in self._endpoints and channel_id != self.winner:
            self._failed.setdefault(channel_id, cause)

    def give_up(self, channel_id: str) -> None:
        """Note that a channel is about to be hung up: it is pending, and can't win any more."""
        self._given_up.add(channel_id)

    def read(self, channel: Channel) -> None:
        """Note what Asterisk has told of a channel."""
        self._enter(channel, is_in=channel.dialplan.app_name == _STASIS)

    def _enter(self, channel: Channel, *, is_in: bool) -> None:
        if channel.id in self._given_up:
            return
        if is_in:
            self.entered.add(channel.id)
        if channel.id in self.entered and (channel.state == _UP or not self._are_early):
            self._answer(channel.id)

    def _answer(self, channel_id: str) -> None:
        if self.winner is None and channel_id in self.pending:
            self.winner = channel_id

    def error(self) -> DialFailed:
        """Return the error that stands for a race without a winner.

        Somebody who might have answered counts more than one who was busy, and that more than one
        who could not be reached.
        """
        endpoints = list(self._endpoints.values())
        causes = list(self._failed.values())
        if self.pending or {_NO_ANSWER, _NO_USER_RESPONDING} & {*causes}:
            return NoAnswer(endpoints)
        if _USER_BUSY in causes:
            return Busy(endpoints, cause=_USER_BUSY)
        told = [cause for cause in causes if cause is not None]
        return Rejected(endpoints, cause=told[0] if told else None)
