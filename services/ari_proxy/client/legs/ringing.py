"""What a caller hears while others are dialled."""

from collections.abc import AsyncIterator
from contextlib import AbstractAsyncContextManager, asynccontextmanager, nullcontext
from typing import Final

from ari_proxy.client.asking import asked_of
from ari_proxy.client.cleaning_up import clean_up
from ari_proxy.client.media.channel import MediaChannel
from ari_proxy.client.party import Party

from .control import music

_RING: Final = "ring"
_MUSIC: Final = "moh"


def ringing(party: MediaChannel, ring: str | None) -> AbstractAsyncContextManager[None]:
    """Let a caller hear something during a block.

    Args:
        party: who.
        ring: None for nothing; `ring` has the caller's own phone ring, before it is answered;
            `moh` or `moh:CLASS` is music; other media, like `tone:ring`, are played once (a tone
            goes on for ever).

    Raises:
        ValueError: it is none of these; `early`, which a dialled endpoint sends, is not either.
    """
    if ring is None:
        return nullcontext()
    kind, colon, name = ring.partition(":")
    if ring == _RING:
        return _indicated(party)
    if kind == _MUSIC:
        return music(party, name or None)
    if not colon:
        known = f"{_RING}, {_MUSIC}, {_MUSIC}:CLASS and media like tone:ring"
        raise ValueError(f"ring={ring!r} can't be heard here: {known} can")
    return _played(party, ring)


@asynccontextmanager
async def _indicated(party: Party) -> AsyncIterator[None]:
    channels, name = party.ari.channels, party.channel_id
    try:
        async with asked_of(party):
            await channels.ring(name)
        yield
    finally:
        if not party.is_over:
            await clean_up(channels.ring_stop(name), f"ringing of channel {name}")


@asynccontextmanager
async def _played(party: MediaChannel, media: str) -> AsyncIterator[None]:
    playback = await party.start_playing(media)
    try:
        yield
    finally:
        await playback.abandon()
