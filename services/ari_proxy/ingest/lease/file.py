"""The lease as a lock on a file, for ingests on one machine.

The kernel keeps the lock (flock(2)) for the process and releases it when the process ends, however
that happens. So it can't be lost while the process lives, and a suspended process keeps it.
"""

import asyncio
import contextlib
import fcntl
import os
from pathlib import Path
from typing import Final

import structlog

_log = structlog.get_logger()

#: Seconds between attempts: the kernel does not notify of a released lock.
RETRY_SECONDS: Final = 0.2


class FileLease:
    """A lock file; the process that has locked it is active."""

    is_shared = True
    problem = ""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._file: int | None = None

    def is_valid(self) -> bool:
        """Return True: the kernel revokes no lock."""
        return True

    async def acquire(self) -> None:
        """Return once the file is locked."""
        self._file = self._file if self._file is not None else self._open()
        is_first = True
        while not self._is_locked(self._file):
            if is_first:
                _log.info("lease.awaited", file=str(self._path))
                is_first = False
            await asyncio.sleep(RETRY_SECONDS)

    def _open(self) -> int:
        flags = os.O_RDWR | os.O_CREAT | os.O_CLOEXEC
        return os.open(self._path, flags, mode=0o600)

    @staticmethod
    def _is_locked(file: int) -> bool:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            return False
        return True

    async def keep(self) -> None:
        """Never return."""
        await asyncio.Event().wait()

    async def release(self) -> None:
        """Unlock the file."""
        file, self._file = self._file, None
        if file is not None:
            with contextlib.suppress(OSError):
                os.close(file)

    async def close(self) -> None:
        """Unlock the file, if `release` has not: the lock would outlive a failed service."""
        await self.release()
