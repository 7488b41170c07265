"""The state of a bus's connection: whether there is one, and why it does not work."""

import asyncio

from .base import Problem


class ConnectionState:
    """Whether a bus is connected, and what has kept it from working."""

    def __init__(self) -> None:
        self._connected = asyncio.Event()
        self._connections = 0
        #: Why a server has rejected us, or ''; attempts since then that failed otherwise.
        self._login_refusal = ""
        self._not_refused = 0
        #: Attempts since the last connection, and why the last one failed.
        self._failures = 0
        self._failure = ""
        #: Set once each server was tried, or there is a connection.
        self._tried = asyncio.Event()
        #: Why the server accepts no messages now, or ''.
        self._blocked_by = ""

    @property
    def is_connected(self) -> bool:
        """True while messages are sent and received."""
        return self._connected.is_set()

    @property
    def is_blocked(self) -> bool:
        """True while the server accepts no messages in spite of a connection."""
        return self.is_connected and bool(self._blocked_by)

    @property
    def reconnects(self) -> int:
        """Connections since the start, not counting the first."""
        return max(0, self._connections - 1)

    @property
    def problem(self) -> Problem | None:
        """The reason why no messages are sent and received now, or None."""
        if not self.is_connected:
            if self._login_refusal:
                return Problem("refused", f"the bus refuses us: {self._login_refusal}")
            return Problem("away", "no connection to the bus")
        if self._blocked_by:
            return Problem("blocked", f"blocked: {self._blocked_by}")
        return None

    async def wait_connected(self) -> None:
        """Return once there is a connection."""
        await self._connected.wait()

    async def wait_tried(self) -> str:
        """Wait until each server was tried; return why there is no connection, or ''."""
        while not self.is_connected:
            await self._tried.wait()
            if self._failure:
                return self._failure
            if not self.is_connected:  # It was lost since.
                self._tried.clear()
        return ""

    def begin(self) -> None:
        """Note that there is a connection."""
        self._connections += 1
        self._login_refusal = self._failure = ""
        self._failures = 0
        self._tried.set()
        self._connected.set()

    def end(self) -> None:
        """Note that the connection is lost."""
        self._connected.clear()

    def fail(self, reason: str, *, is_refusal: bool, attempts: int = 1) -> None:
        """Note why there is no connection.

        A refusal remains the reason until no server has refused us in a whole round: it needs a
        fix, whatever the state of other servers.

        Args:
            reason: of the last failed attempt.
            is_refusal: whether a server rejected us, or we did not trust its certificate.
            attempts: how many it takes to try each server.
        """
        self._failures += 1
        self._failure = reason
        self._not_refused = 0 if is_refusal else self._not_refused + 1
        if is_refusal:
            self._login_refusal = reason
        elif self._not_refused >= attempts:
            self._login_refusal = ""
        if self._failures >= attempts:
            self._tried.set()
        else:
            self._tried.clear()

    def block(self, reason: str) -> bool:
        """Note why the server accepts no messages, or ''; return whether it was so before."""
        was_blocked, self._blocked_by = bool(self._blocked_by), reason
        return was_blocked
