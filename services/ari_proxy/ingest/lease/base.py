"""The lease: which of several ingests of a server is the active one.

Asterisk itself gives an application to the websocket that came last; the lease keeps two ingests
from taking it from each other for ever. Who has it not stands by.
"""

import asyncio
from typing import Protocol


class Lease(Protocol):
    """The right to be active; one holder at a time."""

    @property
    def is_shared(self) -> bool:
        """Whether others may wait for it."""

    def is_valid(self) -> bool:
        """Return whether the holder may still act: asked for each event, so it must be cheap.

        It turns false before another one can have got the lease, also in a process that was stopped
        for a while.
        """

    async def acquire(self) -> None:
        """Return once this process has it."""

    async def keep(self) -> None:
        """Renew it; returns when it is lost."""

    async def release(self) -> None:
        """Let others have it. What is held stays valid until they take over."""


class Unshared:
    """The lease of an ingest that knows of no other one: the last one that starts is active."""

    is_shared = False

    def is_valid(self) -> bool:
        """Return True: Asterisk decides."""
        return True

    async def acquire(self) -> None:
        """Return at once."""

    async def keep(self) -> None:
        """Never return."""
        await asyncio.Event().wait()

    async def release(self) -> None:
        """Do nothing."""
