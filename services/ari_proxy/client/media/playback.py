"""A playback on a channel, from its request to its end."""

import asyncio
from collections.abc import Generator
from typing import Any, Final, Self

from ari_proxy.client.ari.events import ChannelHangupRequest
from ari_proxy.client.ari.model import Event
from ari_proxy.client.asking import ends
from ari_proxy.client.cleaning_up import clean_up
from ari_proxy.client.errors import ClientError, NotFound, NotPlayed
from ari_proxy.client.follower import Follower
from ari_proxy.client.party import Party
from ari_proxy.client.state_reader import RETRY_SECONDS, StateReader

from .playback_progress import Interruption, PlaybackProgress

#: Seconds in which a playback begins that has nothing before it: Asterisk does not tell of each one
#: that it can't begin (CyCoreSystems/ari, ext/play).
START_SECONDS: Final = 2.0
#: Seconds without an event after which the state is read: the event may be lost.
READ_SECONDS: Final = 30.0


class Playback:
    """Media that are played to a channel, one after another.

    Await it for its end: `await playback` returns the playback, or raises NotPlayed, or CallEnded
    if the channel has left before.
    """

    def __init__(
        self,
        party: Party,
        playback_id: str,
        *,
        ahead: "Playback | None" = None,
        start_seconds: float = START_SECONDS,
        interruption: Interruption | None = None,
        retry_seconds: float = RETRY_SECONDS,
    ) -> None:
        """Follow a playback that is about to be requested.

        Args:
            party: who hears it.
            playback_id: its id, made before Asterisk is asked.
            ahead: the one that is played before.
            start_seconds: in which it begins after that.
            interruption: the digit that stops it, while it is awaited.
            retry_seconds: between attempts to read its state, at first.
        """
        self.id = playback_id
        self._party = party
        self._progress = PlaybackProgress(playback_id)
        self._ahead = ahead
        self._start_seconds = start_seconds
        self._interruption = interruption
        self._is_stopped = False
        #: Whether the channel is about to end.
        self._is_hung_up = False
        self._loop = asyncio.get_running_loop()
        self._since = self._loop.time()
        self._follower = Follower(party, self._take)
        self._reader = StateReader(
            self._follower,
            self._progress.missed,
            self._read,
            retry_seconds=retry_seconds,
            gives_up=True,
        )

    def __repr__(self) -> str:
        return f"Playback({self.id!r}, state={self.state!r})"

    @property
    def state(self) -> str:
        """Asterisk's name of its state, like `playing`."""
        return self._progress.state

    @property
    def media_uri(self) -> str:
        """What is played, or was played last; '' before anything is."""
        return self._progress.media_uri

    @property
    def digit(self) -> str:
        """The digit that has interrupted it, or ''."""
        return self._interruption.digit if self._interruption else ""

    @property
    def is_over(self) -> bool:
        """Whether it has ended, was stopped, or has failed."""
        return self._progress.is_over

    def __await__(self) -> Generator[Any, None, Self]:
        return self._until_over().__await__()

    async def finished(self) -> Self:
        """Return it at its end; whoever is cancelled ends it.

        Raises:
            CallEnded: the channel has left before.
            NotPlayed: Asterisk can't play it, or has not begun to.
        """
        try:
            return await self
        finally:
            await self.abandon()

    async def stop(self) -> None:
        """End it; one that is over stays so."""
        self._is_stopped = True
        try:
            await self._party.ari.playbacks.stop(self.id)
        except NotFound:
            self._progress.read(None)

    async def pause(self) -> None:
        """Pause it.

        Raises:
            NotFound: it is over.
            Conflict: it has not begun.
        """
        await self._party.ari.playbacks.control(self.id, "pause")

    async def resume(self) -> None:
        """Go on after a pause.

        Raises:
            NotFound: it is over.
            Conflict: it has not begun.
        """
        await self._party.ari.playbacks.control(self.id, "unpause")

    async def abandon(self) -> None:
        """End it, if it is not over, behind whoever was cancelled or has failed."""
        is_to_end = not self.is_over and not self._party.is_over
        self.forget()
        if is_to_end:
            await clean_up(self._party.ari.playbacks.stop(self.id), f"playback {self.id}")

    def forget(self) -> None:
        """Note that there is no such playback."""
        self._progress.read(None)
        self._close()

    def _take(self, event: Event) -> None:
        if self._interruption is not None:
            self._interruption.take(event)
        if isinstance(event, ChannelHangupRequest):
            self._is_hung_up |= event.channel.id == self._party.channel_id
        if self._progress.take(event) or self._is_behind:
            self._since = self._loop.time()
        if self.is_over:
            self._close()

    def _close(self) -> None:
        self._follower.close()
        self._ahead = None  # Which knows the one before, and so on.

    @property
    def _is_behind(self) -> bool:
        return self._ahead is not None and not self._ahead.is_over

    async def _until_over(self) -> Self:
        while not self.is_over:
            if self.digit and not self._is_stopped:
                await self.stop()
            elif self._progress.missed.are_unread:
                await self._reader.read()
            elif not await self._follower.news(self._patience()):
                await self._look()
        if self._progress.has_failed:
            raise await self._failure()
        return self

    async def _failure(self) -> ClientError:
        if self._is_hung_up and await ends(self._party):  # Which is told last.
            return self._party.end_error()
        return NotPlayed(self.media_uri or self.id, "Asterisk can't play it")

    def _patience(self) -> float:
        is_next = not self._progress.has_begun and not self._is_behind
        limit = self._start_seconds if is_next else READ_SECONDS
        return max(0.0, self._since + limit - self._loop.time())

    async def _look(self) -> None:
        """Find out why nothing has happened."""
        is_known = await self._reader.read()
        self._since = self._loop.time()
        if is_known and not self._progress.has_begun and not self._is_behind:
            await self.abandon()
            reason = f"it has not begun within {self._start_seconds:g} s"
            raise NotPlayed(f"playback {self.id}", reason)

    async def _read(self) -> None:
        try:
            state = (await self._party.ari.playbacks.get(self.id)).state
        except NotFound:
            self._progress.read(None)
        else:
            self._progress.read(state)
