"""A bridge of a call: it lasts for a block, and nothing of it is left behind."""

import asyncio
from collections.abc import Sequence
from contextlib import suppress
from types import TracebackType
from typing import Final, Self

from ari_proxy.client.ari.events import StasisStart
from ari_proxy.client.ari.model import Event
from ari_proxy.client.asking import asked_of
from ari_proxy.client.cleaning_up import clean_up
from ari_proxy.client.errors import InvalidParameters, NotFound
from ari_proxy.client.follower import Follower
from ari_proxy.client.media.recording import Recording, RecordingOptions
from ari_proxy.client.party import Party
from ari_proxy.client.state_reader import StateReader
from ari_proxy.protocol.ids import new_object_of

from .bridge_members import BridgeMembers
from .leg import Leg

#: Seconds without an event after which the bridge is read: one may be lost.
READ_SECONDS: Final = 30.0


class Bridge:
    """Channels that hear each other.

    At the end of the block the bridge is destroyed, and the legs that are in it, or were, are hung
    up; the call's own channel stays.
    """

    def __init__(
        self,
        call: Party,
        *,
        kind: str = "mixing",
        name: str | None = None,
        record: str | None = None,
        read_seconds: float = READ_SECONDS,
    ) -> None:
        """Initialise a bridge that is created when the block begins.

        Args:
            call: whose dialog has it; who stays at its end.
            kind: its abilities, separated by commas, like `mixing,dtmf_events`.
            name: a name for people.
            record: the name of a recording of all that is heard in it.
            read_seconds: without an event after which the bridge is read.
        """
        self.id = new_object_of(call.dialog_id)
        self._call = call
        self._kind = kind
        self._name = name
        self._read_seconds = read_seconds
        self._members = BridgeMembers(self.id)
        #: By the ids of their channels, also former ones, all that were ever to be put in.
        self._parties: dict[str, Party] = {}
        self._follower = Follower(call, self._follow)
        self._reader = StateReader(self._follower, self._members.missed, self._read)
        self._record = record
        #: Of all that is heard, if that was wanted: from the beginning of the block to its end.
        self.recording: Recording | None = None

    def __repr__(self) -> str:
        return f"Bridge({self.id!r}, members={self.members!r})"

    @property
    def members(self) -> list[Party]:
        """Who is in it."""
        return [self._parties[name] for name in self._members.present]

    async def __aenter__(self) -> Self:
        try:
            await self._call.ari.bridges.create(type=self._kind, bridge_id=self.id, name=self._name)
            if self._record is not None:
                self.recording = Recording(self._call, self._record, bridge_id=self.id)
                await self.recording.start(RecordingOptions(end=""))
        except BaseException:
            await self._destroy()
            raise
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        await self._destroy()

    async def add(self, *parties: Party) -> None:
        """Put a call or legs in; from now on the block's end hangs up these legs.

        Raises:
            CallEnded: one of them has left before.
        """
        # All of them at first: a leg is not to stay behind if the one before it has left.
        self._parties |= {party.channel_id: party for party in parties}
        for party in parties:
            self._members.expect(party.channel_id)
            try:
                async with asked_of(party, also=(InvalidParameters,)):
                    await self._call.ari.bridges.add_channel(self.id, party.channel_id)
            except BaseException:
                self._members.release(party.channel_id)
                raise
            self._members.put(party.channel_id)

    async def remove(self, *parties: Party) -> None:
        """Take a call or legs out; they stay up, and are no leavers.

        Raises:
            InvalidParameters: one is not in it.
        """
        for party in parties:
            self._members.release(party.channel_id)
            async with asked_of(party):
                await self._call.ari.bridges.remove_channel(self.id, party.channel_id)

    async def hold(self, party: Party, music_class: str | None = None) -> None:
        """Take one out and play music to it, until `unhold`."""
        await self.remove(party)
        async with asked_of(party):
            await self._call.ari.channels.start_moh(party.channel_id, moh_class=music_class)

    async def unhold(self, party: Party) -> None:
        """Put one in again that `hold` has taken out."""
        async with asked_of(party):
            await self._call.ari.channels.stop_moh(party.channel_id)
        await self.add(party)

    async def wait_for_leaver(self) -> Party:
        """Return the first one that leaves by itself: that has hung up, or was sent elsewhere.

        One that has left already, since it was added, is returned at once; each one once.
        """
        while not self._members.leavers:
            await self._reader.follow_on(self._read_seconds)
        return self._parties[self._members.leavers.pop(0)]

    async def wait_empty(self) -> None:
        """Return once nobody is in it any more; at once if nobody was put in."""
        while self._members.present:
            await self._reader.follow_on(self._read_seconds)

    def _follow(self, event: Event) -> None:
        former = event.replace_channel if isinstance(event, StasisStart) else None
        if former is not None and former.id in self._parties:
            self._parties[event.channel_id] = self._parties[former.id]
        self._members.take(event)

    async def _read(self) -> None:
        channels: Sequence[str] = ()
        with suppress(NotFound):
            channels = (await self._call.ari.bridges.get(self.id)).channels
        self._members.read(channels)

    async def _destroy(self) -> None:
        self._follower.close()
        async with asyncio.TaskGroup() as tasks:
            tasks.create_task(self._end())
            for party in dict.fromkeys(self._parties.values()):
                if isinstance(party, Leg) and party is not self._call and not party.is_over:
                    tasks.create_task(clean_up(party.hang_up(), f"channel {party.channel_id}"))

    async def _end(self) -> None:
        if self.recording is not None and not self.recording.is_over:
            await clean_up(self.recording.stop(), f"recording {self.recording.name}")
        await clean_up(self._call.ari.bridges.destroy(self.id), f"bridge {self.id}")
