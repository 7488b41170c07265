"""The lease as a Kubernetes Lease, for ingests on several machines.

A holder that was suspended and did not renew the lease in time knows by its own clock that it has
expired, before another ingest can acquire it; it drops the events that it still has. Whatever else
the API server does, or does not do, a holder stays active until it sees another one's name: calls
don't depend on Kubernetes' control plane. docs/reliability.md says why no call is served twice.
"""

import asyncio
import contextlib
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import UTC, datetime
from typing import Any, Final

import structlog

from ari_proxy.clock import Clock

from .kubernetes_api import LeaseConflictError, LeaseError, LeaseMissingError, LeaseStore
from .record import Claim, LeaseRecord, parse

_log = structlog.get_logger()

#: Attempts to renew the lease within its duration.
RENEWALS: Final = 3


class KubernetesLease:
    """A Lease object; the process named in it is active."""

    is_shared = True

    def __init__(
        self,
        store: LeaseStore,
        name: str,
        identity: str,
        *,
        duration_seconds: int,
        clock: Clock = time.monotonic,
    ) -> None:
        """Initialise a lease that is not held.

        Args:
            store: has the Lease object.
            name: of the Lease object.
            identity: of this process; no other one ever has it.
            duration_seconds: after which a lease that is not renewed is over.
            clock: monotonic seconds.
        """
        self._store = store
        self._name = name
        self._clock = clock
        #: Between attempts, and the deadline of each.
        self._pause = duration_seconds / RENEWALS
        self._claim = Claim(name, identity, duration_seconds=duration_seconds)
        #: As this process has written it; None if it may have changed since.
        self._written: LeaseRecord | None = None
        self._is_resigned = False
        self._failure = "it has not been read yet"

    @property
    def problem(self) -> str:
        """Why this process may not become active when it has to, or ''."""
        if self._claim.is_valid(self._clock()) or self._claim.is_led(self._clock()):
            return ""
        return f"no ingest is known to be active by the Lease {self._name}: {self._failure}"

    def is_valid(self) -> bool:
        """Return whether this process certainly holds it, or has released it with no new holder."""
        return self._is_resigned or self._claim.is_valid(self._clock())

    async def acquire(self) -> None:
        """Return once this process holds the lease."""
        self._is_resigned = False
        self._claim.lost()
        _log.info("lease.awaited", lease=self._name)
        while not await self._is_acquired():  # noqa: ASYNC110  Kubernetes is asked
            await asyncio.sleep(self._pause)

    async def keep(self) -> None:
        """Renew the lease; return when it has expired or another process holds it."""
        while self._claim.is_valid(self._clock()):
            await asyncio.sleep(self._pause)
            await self._is_acquired()

    async def release(self) -> None:
        """Remove this process's name from the lease."""
        if not self._claim.is_valid(self._clock()):
            return
        self._is_resigned = True
        written, self._written = self._written, None
        if written is not None:
            with contextlib.suppress(LeaseError):
                async with self._deadline():
                    await self._store.replace(self._claim.resignation(written))

    async def close(self) -> None:
        """Close the connection to Kubernetes."""
        await self._store.close()

    async def _is_acquired(self) -> bool:
        begun_at = self._clock()
        try:
            async with self._deadline():
                is_acquired = await self._is_renewed() or await self._is_claimed()
        except LeaseError as error:
            self._failure = str(error)
            _log.warning("lease.not_renewed", lease=self._name, error=self._failure)
            self._claim.presumed(self._clock())
            return False
        if is_acquired:
            self._claim.written(begun_at)
        else:
            self._failure = "the process that is named in it has not renewed it"
            self._claim.lost()
        return is_acquired

    @asynccontextmanager
    async def _deadline(self) -> AsyncIterator[None]:
        try:
            async with asyncio.timeout(self._pause):
                yield
        except TimeoutError as error:
            raise LeaseError("the API server can't be reached: no answer in time") from error

    async def _is_renewed(self) -> bool:
        """Write the lease as this process has left it; return whether it was still so."""
        if self._written is None or not self._claim.is_valid(self._clock()):
            return False
        renewal = self._claim.claim(self._written, datetime.now(UTC))
        try:
            self._written = parse(await self._store.replace(renewal))
        except (LeaseConflictError, LeaseMissingError):
            self._written = None
            return False
        return True

    async def _is_claimed(self) -> bool:
        """Read the lease and claim it; return False if another process has it."""
        record = await self._read()
        if not self._claim.observe(record, self._clock()):
            return False
        claim = self._claim.claim(record, datetime.now(UTC))
        if record is None:
            self._written = await self._create(claim)
        else:
            self._written = parse(await self._store.replace(claim))
        return True

    async def _read(self) -> LeaseRecord | None:
        try:
            return parse(await self._store.read())
        except LeaseMissingError:
            return None

    async def _create(self, claim: dict[str, Any]) -> LeaseRecord:
        try:
            return parse(await self._store.create(claim))
        except LeaseError as error:
            # The operator creates it: its ingests may not.
            raise LeaseError(f"there is no Lease {self._name}, and {error}") from error
