"""Putting a party through to somebody else."""

import asyncio
from collections.abc import Sequence
from contextlib import AsyncExitStack
from dataclasses import dataclass, replace
from typing import Final

from ari_proxy.client.cleaning_up import clean_up
from ari_proxy.client.errors import CallEnded, NotAccepted, NotTransferred
from ari_proxy.client.follower import Follower
from ari_proxy.client.media import speech
from ari_proxy.client.media.channel import MediaChannel
from ari_proxy.client.presence import while_present

from .bridge import Bridge
from .control import ControlledChannel
from .dialling import Dialling, DialOptions
from .leg import Leg
from .ringing import ringing

#: Seconds to accept in, and how many times it is asked for in these.
ACCEPT_SECONDS: Final = 20.0
_TRIES: Final = 3


@dataclass(frozen=True, slots=True, kw_only=True)
class Acceptance:
    """How somebody who has answered is asked to take a call."""

    #: Digits of which one accepts; '' if an answer is enough.
    digits: str = ""
    #: What is played; what to press by default.
    announcement: str | Sequence[str] | None = None
    #: Seconds for all of it.
    seconds: float = ACCEPT_SECONDS

    @property
    def media(self) -> str | Sequence[str]:
        """What is played."""
        if self.announcement is not None:
            return self.announcement
        return ["sound:vm-press", *speech.spoken(self.digits[0])]


async def transfer_blindly(
    party: ControlledChannel, endpoint: str, *, within_seconds: float
) -> None:
    """Have a party's phone or trunk call somebody else; return once the party has left.

    Asterisk tells no refusal: a party that stays has not been transferred.

    Raises:
        NotTransferred: it is still there.
    """
    with Follower(party, lambda _: None) as follower:
        await party.redirect(endpoint)
        limit = asyncio.timeout(within_seconds)
        try:
            async with limit:
                while not party.is_over:
                    await follower.news(None)
        except TimeoutError:
            if not limit.expired():
                raise
            raise NotTransferred(endpoint, f"not within {within_seconds:g} s") from None


class AttendedTransfer:
    """A party that is put through to somebody who takes it."""

    def __init__(
        self,
        party: MediaChannel,
        endpoints: Sequence[str],
        options: DialOptions,
        acceptance: Acceptance,
    ) -> None:
        """Initialise a transfer.

        Args:
            party: who is put through.
            endpoints: all are dialled at once; the first that answers is asked.
            options: how they are dialled; what the party hears, until it is put through.
            acceptance: how that one is asked.

        Raises:
            ValueError: the party can't hear what is wanted.
        """
        self._party = party
        self._ringing = ringing(party, options.ring)
        self._acceptance = acceptance
        self._dialling = Dialling(party, endpoints, replace(options, ring=None))

    async def run(self) -> Leg:
        """Return once they have talked, and the other one has left.

        Raises:
            CallEnded: the party has left; the other one is hung up.
            DialFailed: nobody takes the call.
        """
        async with while_present(self._party), Bridge(self._party) as room:
            leg = await self._leg()
            await self._connect(room, leg)
            await room.wait_for_leaver()
            return leg

    async def _leg(self) -> Leg:
        """Return the leg that takes the call; the party hears something meanwhile."""
        async with AsyncExitStack() as failing:
            async with self._ringing:
                leg = await self._dialling.leg()
                failing.push_async_callback(self._hang_up, leg)
                await self._ask(leg)
            failing.pop_all()
            return leg

    async def _ask(self, leg: Leg) -> None:
        wanted = self._acceptance
        if not wanted.digits:
            return
        try:
            pressed = await leg.prompt(
                wanted.media, digits=1, end="", tries=_TRIES, overall=wanted.seconds
            )
        except CallEnded as error:
            raise NotAccepted(leg.endpoint, "hung_up") from error
        if pressed is None:
            raise NotAccepted(leg.endpoint, "silent")
        if pressed not in wanted.digits:
            raise NotAccepted(leg.endpoint, "declined")

    async def _connect(self, room: Bridge, leg: Leg) -> None:
        try:
            await room.add(leg)
        except CallEnded as error:
            raise NotAccepted(leg.endpoint, "hung_up") from error
        await room.add(self._party)

    @staticmethod
    async def _hang_up(leg: Leg) -> None:
        if not leg.is_over:
            await clean_up(leg.hang_up(), f"channel {leg.channel_id}")
