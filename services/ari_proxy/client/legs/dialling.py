"""Dialling endpoints for a call, until one has answered or none will."""

import asyncio
import math
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Final

from ari_proxy.client.ari.requests import VariableValue
from ari_proxy.client.cleaning_up import clean_up
from ari_proxy.client.errors import RequestFailed, TransportFailed
from ari_proxy.client.follower import Follower
from ari_proxy.client.media.channel import MediaChannel
from ari_proxy.protocol.ids import new_object_of

from .control import Reason
from .dial_race import DialRace
from .following_race import READ_SECONDS, until
from .leg import Leg
from .ringing import ringing

#: Seconds to ring, as Asterisk's own default.
RING_SECONDS: Final = 30.0
#: Seconds that Asterisk rings on should the application be gone.
LONGER_SECONDS: Final = 5


@dataclass(frozen=True, slots=True, kw_only=True)
class DialOptions:
    """How endpoints are dialled."""

    #: Seconds until one has answered.
    timeout: float = RING_SECONDS
    #: What they see, like `Ann <100>`.
    caller_id: str | None = None
    #: What the caller hears meanwhile.
    ring: str | None = None
    #: Names and values of variables of their channels.
    variables: Mapping[str, VariableValue] = field(default_factory=dict)


class Dialling:
    """One attempt to reach somebody."""

    #: Whether the channels are in the application before they are answered.
    _are_early = False

    def __init__(
        self,
        call: MediaChannel,
        endpoints: Sequence[str],
        options: DialOptions,
        *,
        read_seconds: float = READ_SECONDS,
    ) -> None:
        """Initialise an attempt.

        Args:
            call: for whom.
            endpoints: like `PJSIP/200`; all are dialled at once.
            options: how.
            read_seconds: without an event after which the channels are read.

        Raises:
            ValueError: there is no endpoint, or the caller can't hear what is wanted.
        """
        if not endpoints:
            raise ValueError("there is no endpoint to dial")
        self._call = call
        self._options = options
        self._ringing = ringing(call, None if self._are_early else options.ring)
        self._read_seconds = read_seconds
        self._legs = [Leg(call, new_object_of(call.dialog_id), endpoint) for endpoint in endpoints]
        names = {leg.channel_id: leg.endpoint for leg in self._legs}
        self._race = DialRace(names, are_early=self._are_early)
        self._requested: list[Leg] = []
        self._refusal: RequestFailed | None = None

    async def leg(self) -> Leg:
        """Return the leg that answers first; all others are hung up by then.

        Raises:
            CallEnded: the caller has left before.
            DialFailed: nobody has answered.
        """
        try:
            if self._call.is_over:
                raise self._call.end_error()
            with Follower(self._call, self._race.take) as follower:
                await self._ring(follower)
            await self._hang_up_pending("answered_elsewhere")
        except BaseException:
            await self._hang_up_all()
            raise
        finally:
            self._forget_losers()
        return self._won()

    def _won(self) -> Leg:
        return next(leg for leg in self._legs if leg.channel_id == self._race.winner)

    async def _ring(self, follower: Follower) -> None:
        """Have all ring, until one has answered or none will."""
        async with self._ringing:
            await self._place()
            await self._until(follower, lambda: self._race.is_over)
        self._check()

    async def _place(self) -> None:
        async with asyncio.TaskGroup() as tasks:
            for leg in self._legs:
                tasks.create_task(self._originate(leg))

    async def _originate(self, leg: Leg) -> None:
        await self._request(
            leg,
            self._call.ari.channels.originate(
                leg.endpoint,
                app=self._call.application,
                caller_id=self._options.caller_id,
                timeout=self._ring_seconds,
                variables=self._options.variables or None,
                channel_id=leg.channel_id,
            ),
        )

    @property
    def _ring_seconds(self) -> int:
        """For Asterisk, in case that the application is gone."""
        return math.ceil(self._options.timeout) + LONGER_SECONDS

    async def _request(self, leg: Leg, asked: Awaitable[object]) -> None:
        """Await a request that has a leg ring; one that fails is its end."""
        if leg not in self._requested:
            self._requested.append(leg)
        try:
            await asked
        except RequestFailed as refusal:
            self._refusal = refusal
            self._race.fail(leg.channel_id)
        except TransportFailed:
            if leg.channel_id in self._race.pending:  # It may ring, or never have been requested.
                self._race.give_up(leg.channel_id)  # Asterisk may be that slow, and place it yet.
                await self._hang_up(leg, "normal")
                self._race.fail(leg.channel_id)

    async def _until(self, follower: Follower, is_reached: Callable[[], bool]) -> None:
        """Follow the race up to some point, or until its time is over."""
        limit = asyncio.timeout(self._options.timeout)
        try:
            async with limit:
                await until(
                    is_reached,
                    self._race,
                    follower,
                    self._call.ari,
                    read_seconds=self._read_seconds,
                )
        except TimeoutError:
            if not limit.expired():
                raise

    def _check(self) -> None:
        """Return if one has answered.

        Raises:
            DialFailed: none has.
        """
        if self._race.winner is None:
            raise self._race.error() from self._refusal

    async def _hang_up_pending(self, reason: Reason) -> None:
        pending = [leg for leg in self._requested if leg.channel_id in self._race.pending]
        async with asyncio.TaskGroup() as tasks:
            for leg in pending:
                tasks.create_task(self._hang_up(leg, reason))

    async def _hang_up_all(self) -> None:
        await self._hang_up_pending("normal")
        if self._race.winner is not None:
            await self._hang_up(self._won(), "normal")

    @staticmethod
    async def _hang_up(leg: Leg, reason: Reason) -> None:
        await clean_up(leg.hang_up(reason), f"channel {leg.channel_id}")

    def _forget_losers(self) -> None:
        for leg in self._legs:
            if leg.channel_id != self._race.winner:
                leg.forget()
