"""Whether an Asterisk can be asked here; it may have its websockets with another process."""

import asyncio
from typing import Final, NamedTuple, Protocol

from .client import AriClient


class Availability(Protocol):
    """Tells when the Asterisk of a client can be asked."""

    @property
    def is_available(self) -> bool:
        """Whether a request would be sent now."""
        ...

    async def until_available(self) -> None:
        """Wait until requests may come."""
        ...

    async def until_unavailable(self) -> None:
        """Wait until requests had better go to another process."""
        ...

    async def release(self) -> None:
        """Let another process become available, before this one takes no more requests."""
        ...


class AlwaysAvailable:
    """We connect to Asterisk ourselves: what becomes of a request is told by its client."""

    is_available: Final = True

    async def until_available(self) -> None:
        """Return at once."""

    async def until_unavailable(self) -> None:
        """Wait for ever."""
        await asyncio.get_running_loop().create_future()

    async def release(self) -> None:
        """Do nothing."""


class CommandWay(NamedTuple):
    """What sends commands to Asterisk, and whether they may come."""

    client: AriClient
    availability: Availability = AlwaysAvailable()
