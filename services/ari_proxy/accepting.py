"""Accepting connections for as long as the process runs, with or without free descriptors.

asyncio's servers say so up to 128 times a second if there are none; uvloop's say nothing.
"""

import asyncio
import socket
from collections.abc import Callable
from typing import Final

from .log_limit import LogLimit

#: Between two attempts while connections can't be accepted; those that come wait in the kernel.
AGAIN_SECONDS: Final = 0.1
#: Between two lines about it.
LOG_SECONDS: Final = 60.0


class Acceptor:
    """Accepts the connections to listening sockets."""

    def __init__(
        self,
        count_failed: Callable[[], None],
        log_failed: Callable[[str, int], None],
        *,
        again_seconds: float = AGAIN_SECONDS,
    ) -> None:
        """Initialise; `run` accepts.

        Args:
            count_failed: called for each attempt that fails: no file descriptor is left, for one.
            log_failed: called for the first of them, and once a minute, with the error and the
                number of others since the last call.
            again_seconds: between two attempts then.
        """
        self._count_failed = count_failed
        self._log_failed = log_failed
        self._again_seconds = again_seconds
        self._limit = LogLimit(LOG_SECONDS)

    async def run(
        self, listening: socket.socket, take: Callable[[socket.socket, str], None]
    ) -> None:
        """Accept connections until cancelled.

        Args:
            listening: does not block.
            take: called for each connection with its socket and the peer's address; what it does
                is done before the next one is accepted.
        """
        loop = asyncio.get_running_loop()
        while True:
            try:
                accepted, address = await loop.sock_accept(listening)
            except OSError as error:
                self._note(error)
                await asyncio.sleep(self._again_seconds)
                continue
            take(accepted, address[0])
            await asyncio.sleep(0)

    def _note(self, error: OSError) -> None:
        self._count_failed()
        others = self._limit.others()
        if others is not None:
            self._log_failed(str(error), others)
