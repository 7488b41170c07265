"""Following a race of dialled channels, by events and by what Asterisk says of the channels."""

from collections.abc import Callable
from functools import partial
from typing import Final

from ari_proxy.client.ari import Ari
from ari_proxy.client.errors import ClientError, NotFound, RequestFailed, TransportFailed
from ari_proxy.client.follower import Follower
from ari_proxy.client.state_reader import StateReader

from .dial_race import DialRace

#: Seconds without an event after which the channels are read: one may be lost.
READ_SECONDS: Final = 10.0


async def until(
    is_reached: Callable[[], bool],
    race: DialRace,
    follower: Follower,
    ari: Ari,
    *,
    read_seconds: float = READ_SECONDS,
) -> None:
    """Follow a race up to some point.

    Args:
        is_reached: tells whether that is reached.
        race: gets the events, by `follower`.
        follower: of the call whose channels are dialled.
        ari: operations of the call.
        read_seconds: without an event after which the channels are read.

    Raises:
        CallEnded: the call has ended before.
    """
    reader = StateReader(follower, race.missed, partial(_read_pending, race, ari))
    while not is_reached():
        await reader.follow_on(read_seconds)


async def _read_pending(race: DialRace, ari: Ari) -> None:
    """Read each channel that may ring.

    Raises:
        ClientError: one could not be read.
    """
    failure: ClientError | None = None
    for name in race.pending:
        try:
            race.read(await ari.channels.get(name))
        except NotFound:
            race.fail(name)
        except (RequestFailed, TransportFailed) as error:
            failure = error
    if failure is not None:
        raise failure
