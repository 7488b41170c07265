"""A recording of a channel or a bridge, from its request to its end."""

import asyncio
from collections.abc import Generator
from dataclasses import dataclass
from typing import Any, Final, Literal, Self

from ari_proxy.client.ari.model import Event
from ari_proxy.client.asking import NOT_BEGUN, asked_of
from ari_proxy.client.cleaning_up import clean_up
from ari_proxy.client.errors import (
    Conflict,
    NotFound,
    NotRecorded,
    RequestFailed,
    TransportFailed,
)
from ari_proxy.client.follower import Follower
from ari_proxy.client.party import Party
from ari_proxy.client.state_reader import RETRY_SECONDS, StateReader

from .recording_progress import RecordingProgress

#: Seconds without an event after which the state is read: the event may be lost.
READ_SECONDS: Final = 30.0

IfExists = Literal["fail", "overwrite", "append"]
EndKey = Literal["", "any", "*", "#"]


@dataclass(frozen=True, slots=True, kw_only=True)
class RecordingOptions:
    """How something is recorded."""

    #: Of the file, like `wav` or `gsm`.
    format: str = "wav"
    #: Whether a tone is played before.
    beep: bool = False
    #: The digit that ends it; `any` for each, '' for none.
    end: EndKey = "#"
    #: Seconds of silence after which it ends; 0 for no limit.
    max_silence: int = 0
    #: Seconds after which it ends; 0 for no limit.
    max_seconds: int = 0
    #: What happens to one of the same name that is in store.
    if_exists: IfExists = "fail"


class Recording:
    """A recording that is being made, or has been.

    Await it for its end: `await recording` returns the recording, or raises NotRecorded, or
    CallEnded if the channel has left and nothing is known of the recording.
    """

    def __init__(
        self,
        party: Party,
        name: str,
        *,
        bridge_id: str = "",
        read_seconds: float = READ_SECONDS,
        retry_seconds: float = RETRY_SECONDS,
    ) -> None:
        """Follow a recording that is about to be requested.

        Args:
            party: who is recorded, or whose call the bridge is in.
            name: its name.
            bridge_id: the bridge that is recorded, if one is.
            read_seconds: without an event after which its state is read.
            retry_seconds: between attempts to read it, at first.
        """
        self.name = name
        self._party = party
        self._bridge_id = bridge_id
        self._read_seconds = read_seconds
        self._progress = RecordingProgress(name)
        self._loop = asyncio.get_running_loop()
        self._began_at = self._loop.time()
        self._follower = Follower(party, self._take)
        self._reader = StateReader(
            self._follower,
            self._progress.missed,
            self._read,
            retry_seconds=retry_seconds,
            gives_up=True,
        )

    def __repr__(self) -> str:
        return f"Recording({self.name!r}, state={self.state!r})"

    @property
    def state(self) -> str:
        """Asterisk's name of its state, like `recording`."""
        return self._progress.state

    @property
    def is_over(self) -> bool:
        """Whether it has ended, was cancelled, or has failed."""
        return self._progress.is_over

    @property
    def seconds(self) -> float:
        """Its length: what Asterisk has told, else the time since its request."""
        told = self._progress.seconds
        return self._loop.time() - self._began_at if told is None else told

    def __await__(self) -> Generator[Any, None, Self]:
        return self._until_over().__await__()

    async def finished(self) -> Self:
        """Return it at its end; whoever is cancelled ends it.

        Raises:
            CallEnded: the channel has left, and nothing is known of the recording.
            NotRecorded: it has failed, or was cancelled.
        """
        try:
            return await self
        finally:
            await self.abandon()

    async def stop(self) -> None:
        """End it and keep it; one that is over stays so."""
        try:
            await self._party.ari.recordings.stop(self.name)
        except NotFound:
            await self._find_stored()

    async def cancel(self) -> None:
        """End it and keep nothing; one that is over stays so."""
        try:
            await self._party.ari.recordings.cancel(self.name)
        except NotFound:
            await self._find_stored()
        else:
            self._progress.discard()
            self._follower.close()

    async def delete(self) -> None:
        """Delete it from the store.

        Raises:
            NotFound: it is not there.
        """
        await self._party.ari.recordings.delete_stored(self.name)

    async def start(self, options: RecordingOptions) -> None:
        """Request it.

        Raises:
            CallEnded: the channel has left.
            Conflict: there is one of this name, or the channel can't be recorded.
            InvalidParameters: Asterisk does not take an option.
        """
        try:
            async with asked_of(self._party):
                await self._request_free(options)
        except NOT_BEGUN:
            self.forget()
            raise
        except BaseException:
            await self.abandon()
            raise

    async def abandon(self) -> None:
        """End it, if it is not over, behind whoever was cancelled; what there is, is kept."""
        is_to_end = not self.is_over and not self._party.is_over
        self.forget()
        if is_to_end:
            await clean_up(self._party.ari.recordings.stop(self.name), f"recording {self.name}")

    def forget(self) -> None:
        """Note that there is no such recording."""
        self._progress.end(is_stored=False)
        self._follower.close()

    def _take(self, event: Event) -> None:
        self._progress.take(event)
        if self.is_over:
            self._follower.close()

    async def _request_free(self, options: RecordingOptions) -> None:
        """Request it, again if it is refused though the name is free.

        So Asterisk does if another recording makes the same folder at that moment: it tells the
        `EEXIST` of mkdir as that of the recording (`ast_safe_mkdir` in main/utils.c).
        """
        for _ in range(self.name.count("/")):  # Each level of the folder may be made just now.
            try:
                return await self._request(options)
            except Conflict:
                if not await self._is_free():
                    raise
        return await self._request(options)

    async def _is_free(self) -> bool:
        """Return whether no recording has its name, as far as Asterisk tells."""
        recordings = self._party.ari.recordings
        for find in (recordings.get_live, recordings.get_stored):
            try:
                await find(self.name)
            except NotFound:
                continue
            except (RequestFailed, TransportFailed):
                return False
            return False
        return True

    async def _request(self, options: RecordingOptions) -> None:
        ari = self._party.ari
        record = ari.bridges.record if self._bridge_id else ari.channels.record
        await record(
            self._bridge_id or self._party.channel_id,
            self.name,
            options.format,
            max_duration_seconds=options.max_seconds,
            max_silence_seconds=options.max_silence,
            if_exists=options.if_exists,
            beep=options.beep,
            terminate_on=options.end or "none",
        )

    async def _until_over(self) -> Self:
        while not self.is_over:
            await self._reader.follow_on(self._read_seconds)
        if not self._progress.is_stored:
            raise NotRecorded(self.name, self._progress.cause or f"it is {self.state}")
        return self

    async def _read(self) -> None:
        try:
            self._progress.read(await self._party.ari.recordings.get_live(self.name))
        except NotFound:
            await self._find_stored()

    async def _find_stored(self) -> None:
        """Note the end of a recording that is made no more."""
        try:
            await self._party.ari.recordings.get_stored(self.name)
        except NotFound:
            self._progress.end(is_stored=False)
        else:
            self._progress.end(is_stored=True)
        self._follower.close()
