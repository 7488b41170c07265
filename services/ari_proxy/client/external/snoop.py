"""Listening to a channel, and speaking into it, by a channel of one's own."""

from typing import Literal

from ari_proxy.client.asking import asked_of
from ari_proxy.client.errors import NotConnected
from ari_proxy.client.media.channel import MediaChannel
from ari_proxy.client.party import Party

from .channel import ExternalChannel
from .placed import BEGIN_SECONDS, READ_SECONDS, PlacedChannel

#: `in` is what comes from a channel's phone, `out` what goes there.
Direction = Literal["none", "in", "out", "both"]


class Snoop(PlacedChannel, MediaChannel, ExternalChannel):
    """A channel that hears what another one says or hears, or speaks into it.

    It can be recorded, and its audio go to a program outside, while the other one is in a bridge.
    What is played to it is heard in the direction of `whisper`.
    """

    def __init__(
        self,
        party: Party,
        *,
        spy: Direction = "none",
        whisper: Direction = "none",
        begin_seconds: float = BEGIN_SECONDS,
        read_seconds: float = READ_SECONDS,
    ) -> None:
        """Initialise a channel that is requested when the block begins.

        Args:
            party: who is listened to.
            spy: what is heard.
            whisper: who hears what is said.
            begin_seconds: for it to be there.
            read_seconds: without an event after which the channel is read.

        Raises:
            ValueError: it would neither hear nor speak.
        """
        if spy == whisper == "none":
            raise ValueError("neither spy nor whisper says a direction")
        super().__init__(party, read_seconds=read_seconds)
        self._spy: Direction = spy
        self._whisper: Direction = whisper
        self._begin_seconds = begin_seconds

    def __repr__(self) -> str:
        return f"Snoop({self._party.channel_id!r}, channel_id={self.channel_id!r})"

    async def _begin(self) -> None:
        async with asked_of(self._party):
            with self._requesting():
                await self.ari.channels.snoop(
                    self._party.channel_id,
                    self.application,
                    spy=self._spy,
                    whisper=self._whisper,
                    snoop_id=self.channel_id,
                )
        if not await self._until_begun(self._begin_seconds):
            reason = f"it is not in the application within {self._begin_seconds:g} s"
            raise NotConnected(f"snoop of channel {self._party.channel_id}", reason)


class SnoopableChannel(ExternalChannel):
    """A channel that one may listen to, and speak into."""

    def snoop(self, *, spy: Direction = "none", whisper: Direction = "none") -> Snoop:
        """Return a channel that listens or speaks, for an `async with` block.

        Args:
            spy: what is heard: `in` is what this channel's phone says, `out` what it hears.
            whisper: who hears what the snoop says: `out` is this channel's phone, `in` all others.

        Raises:
            ValueError: it would neither hear nor speak.
            CallEnded: the channel has left before.
        """
        return Snoop(self, spy=spy, whisper=whisper)
