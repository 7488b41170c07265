"""A channel that is made for a block, beside the channel of a call."""

import asyncio
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from types import TracebackType
from typing import Final, Self

from ari_proxy.client.ari.model import Event
from ari_proxy.client.asking import NOT_BEGUN
from ari_proxy.client.cleaning_up import clean_up
from ari_proxy.client.errors import (
    CallEnded,
    ClientError,
    NotConnected,
    NotFound,
)
from ari_proxy.client.follower import Follower
from ari_proxy.client.party import Party
from ari_proxy.client.state_reader import StateReader
from ari_proxy.protocol.ids import new_object_of

from .channel_life import ChannelLife

#: After these there is no such channel.
_NOT_MADE: Final[tuple[type[ClientError], ...]] = (*NOT_BEGUN, NotConnected)
#: Seconds for it to enter the application.
BEGIN_SECONDS: Final = 10.0
#: Seconds without an event after which it is read: one may be lost.
READ_SECONDS: Final = 30.0


class PlacedChannel(Party):
    """A channel of the same dialog, which is hung up at the end of the block."""

    def __init__(self, party: Party, *, read_seconds: float = READ_SECONDS) -> None:
        """Initialise a channel that is requested when the block begins.

        Args:
            party: for whom.
            read_seconds: without an event after which the channel is read.
        """
        self.dialog_id = party.dialog_id
        self.application = party.application
        self.ari = party.ari
        self.tracked_channels = party.tracked_channels
        self.channel_id = new_object_of(party.dialog_id)
        self._party = party
        self._read_seconds = read_seconds
        self._life = ChannelLife(self.channel_id)
        self._follower: Follower | None = None
        self._reader: StateReader | None = None
        self._is_requested = False

    @property
    def is_over(self) -> bool:
        """True once it has ended."""
        return self._life.is_over

    def end_error(self) -> CallEnded:
        """Return the error that stands for its end."""
        return CallEnded(self.dialog_id, self._life.who, cause=self._life.cause)

    def following(self, listener: Callable[[Event], None]) -> AbstractContextManager[None]:
        """Call a function with each event of the call that arrives during a block, in order."""
        return self._party.following(listener)

    async def wait_ended(self) -> CallEnded:
        """Return, as an error that is not raised, how it has ended, once it has.

        Raises:
            CallEnded: the one whom it is for has left before.
        """
        await self._until(lambda: self.is_over)
        return self.end_error()

    async def __aenter__(self) -> Self:
        if self._follower is not None:
            raise RuntimeError("its block was begun before: make another one")
        if self._party.is_over:
            raise self._party.end_error()
        self._follower = Follower(self._party, self._life.take)
        self._reader = StateReader(self._follower, self._life.missed, self._read)
        try:
            await self._begin()
        except BaseException:
            await self._end()
            raise
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        await self._end()

    async def _begin(self) -> None:
        """Request it, and return once it may be used."""
        raise NotImplementedError

    @contextmanager
    def _requesting(self) -> Iterator[None]:
        """Request it in a block: from then on it may be there."""
        self._is_requested = True
        try:
            yield
        except _NOT_MADE:
            self._is_requested = False
            raise

    async def _until_begun(self, within_seconds: float) -> bool:
        """Wait until it has entered the application; return whether it has in time.

        Raises:
            CallEnded: the one whom it is for has left before.
        """
        limit = asyncio.timeout(within_seconds)
        try:
            async with limit:
                await self._until(lambda: self._life.has_begun or self.is_over)
        except TimeoutError:
            if not limit.expired():
                raise
        return self._life.has_begun

    async def _until(self, is_so: Callable[[], bool]) -> None:
        if self._reader is None:
            raise RuntimeError(f"channel {self.channel_id} is awaited outside of its block")
        while not is_so():
            await self._reader.follow_on(self._read_seconds)

    async def _read(self) -> None:
        try:
            self._life.read(await self.ari.channels.get(self.channel_id))
        except NotFound:
            self._life.read(None)

    async def _end(self) -> None:
        """Hang it up, if it may be there."""
        if self._follower is not None:
            self._follower.close()
        is_to_end = self._is_requested and not self.is_over
        self._life.end("command")
        if is_to_end:
            hangup = self.ari.channels.hangup(self.channel_id)
            await clean_up(hangup, f"channel {self.channel_id}")
