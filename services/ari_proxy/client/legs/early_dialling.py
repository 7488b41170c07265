"""Dialling an endpoint that the caller hears before it answers: early media."""

from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager, suppress
from typing import Final

from ari_proxy.client.asking import asked_of
from ari_proxy.client.cleaning_up import clean_up
from ari_proxy.client.errors import (
    CallEnded,
    InvalidParameters,
    RequestFailed,
    Unsupported,
)
from ari_proxy.client.follower import Follower
from ari_proxy.client.media.channel import MediaChannel
from ari_proxy.protocol.ids import new_object_of

from .dialling import Dialling, DialOptions
from .following_race import READ_SECONDS
from .leg import Leg

#: What `ring` is then.
EARLY: Final = "early"
#: What a channel that is created sends as the caller's id: `create` has no parameter for it.
_CALLER: Final = ("CALLERID(all)", "CONNECTEDLINE(all)")


class EarlyDialling(Dialling):
    """One attempt to reach one endpoint, in a bridge with the caller from the beginning."""

    _are_early = True

    def __init__(
        self,
        call: MediaChannel,
        endpoints: Sequence[str],
        options: DialOptions,
        *,
        read_seconds: float = READ_SECONDS,
    ) -> None:
        """Initialise an attempt; see `Dialling`.

        Raises:
            ValueError: there is not one endpoint: the caller would hear several at once.
        """
        if len(endpoints) != 1:
            raise ValueError(f"{len(endpoints)} endpoints can't be heard before they answer")
        super().__init__(call, endpoints, options, read_seconds=read_seconds)

    async def _ring(self, follower: Follower) -> None:
        race, (leg,) = self._race, self._legs
        await self._create(leg)
        await self._until(follower, lambda: race.is_over or leg.channel_id in race.entered)
        if leg.channel_id in race.entered:
            async with _heard(self._call, leg):
                dial = self._call.ari.channels.dial(leg.channel_id, timeout=self._ring_seconds)
                await self._request(leg, dial)
                await self._until(follower, lambda: race.is_over)
                if leg.channel_id not in {race.winner, *race.pending}:
                    await self._hang_up(leg, "normal")  # Where it was not even dialled.
        self._check()

    async def _create(self, leg: Leg) -> None:
        caller = self._options.caller_id
        own = dict.fromkeys(_CALLER, caller) if caller else {}
        created = self._call.ari.channels.create(
            leg.endpoint,
            self._call.application,
            channel_id=leg.channel_id,
            variables={**own, **self._options.variables} or None,
        )
        await self._request(leg, created)


@asynccontextmanager
async def _heard(call: MediaChannel, leg: Leg) -> AsyncIterator[None]:
    """Have a caller hear a leg during a block, whether or not they are answered."""
    bridges = call.ari.bridges
    name = new_object_of(call.dialog_id)
    try:
        await bridges.create(type="mixing", bridge_id=name)
        with suppress(CallEnded):  # Its end decides the race.
            async with asked_of(leg, also=(RequestFailed,)):
                await bridges.add_channel(name, leg.channel_id)
        async with asked_of(call, also=(InvalidParameters,)):
            with suppress(RequestFailed, Unsupported):  # A phone that is answered needs none.
                await call.ari.channels.progress(call.channel_id)
            await bridges.add_channel(name, call.channel_id)
        yield
    finally:
        await clean_up(bridges.destroy(name), f"bridge {name}")
