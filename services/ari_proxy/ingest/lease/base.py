"""The lease decides which of several ingests of a server is active.

Asterisk gives an application to the latest websocket, so two ingests would take it from each other
without end. An ingest without the lease stands by.
"""

import asyncio
from typing import Protocol

from ari_proxy.ingest.permit import Permit


class Lease(Permit, Protocol):
    """The right to be active; one holder at a time."""

    @property
    def is_shared(self) -> bool:
        """True if other ingests may wait for it."""

    @property
    def problem(self) -> str:
        """Why this process may not become active when it has to, or ''."""

    async def acquire(self) -> None:
        """Return once this process holds the lease."""

    async def keep(self) -> None:
        """Renew the lease; return when it is lost."""

    async def release(self) -> None:
        """Release the lease; `is_valid` stays true until another process acquires it."""

    async def close(self) -> None:
        """Close what it uses, for good."""


class Unshared:
    """The lease of an ingest without standbys: the latest one to connect is active."""

    is_shared = False
    problem = ""

    def is_valid(self) -> bool:
        """Return True: Asterisk decides who gets the events."""
        return True

    async def acquire(self) -> None:
        """Return at once."""

    async def keep(self) -> None:
        """Never return."""
        await asyncio.Event().wait()

    async def release(self) -> None:
        """Do nothing."""

    async def close(self) -> None:
        """Do nothing."""
