"""Connections to the admin API: a bounded number, and few words about what strangers send.

Whoever reaches the port can open as many as they like and say nothing; uvicorn keeps each of them
until it has had a request. They would leave Asterisk and the bus no file descriptor.
"""

import asyncio
from collections.abc import Callable
from typing import Any, Final, Literal

import structlog
from uvicorn.protocols.http.h11_impl import H11Protocol

from ari_proxy import accepting
from ari_proxy.log_limit import LogLimit

_log = structlog.get_logger()

#: Open at once: of more, one has to go.
MAX_CONNECTIONS: Final = 128
#: Between two lines about refused peers.
LOG_SECONDS: Final = 60.0

#: `malformed`: it sent no HTTP request; `too_many`: it was one of too many; `not_accepted`: an
#: attempt to accept one failed.
Refusal = Literal["malformed", "too_many", "not_accepted"]


class OpenConnections:
    """The open connections, the oldest first."""

    def __init__(self, count_refused: Callable[[Refusal], None]) -> None:
        """Initialise without any.

        Args:
            count_refused: called for each peer that is refused.
        """
        self._open: dict[Connection, None] = {}
        self.count: Final = count_refused
        self._limit = LogLimit(LOG_SECONDS)

    def add(self, connection: "Connection") -> None:
        """Note a new one. Of too many the oldest that waits for no answer has to go."""
        self._open[connection] = None
        if len(self._open) > MAX_CONNECTIONS:
            idle = (one for one in self._open if not one.is_answering)
            oldest = next(idle, next(iter(self._open)))
            self.remove(oldest)
            self.note("too_many", oldest)
            oldest.transport.abort()

    def remove(self, connection: "Connection") -> None:
        """Forget one that is over."""
        self._open.pop(connection, None)

    def note(self, reason: Refusal, connection: "Connection") -> None:
        """Count a peer that is refused, and log it; of many in a short time only the first."""
        self.count(reason)
        if (others := self._limit.others()) is not None:
            host = accepting.usual(connection.client[0]) if connection.client else ""
            _log.warning("admin.refused", reason=reason, host=host, others=others)


class Connection(H11Protocol):
    """One connection to the admin API."""

    def __init__(self, connections: OpenConnections, **given: Any) -> None:
        """Initialise before it is made.

        Args:
            connections: where it is one of.
            given: uvicorn's.
        """
        super().__init__(**given)
        self._all = connections

    @property
    def is_answering(self) -> bool:
        """Whether a request is being answered."""
        return bool(self.cycle) and not self.cycle.response_complete

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        """Note a connection (asyncio.Protocol)."""
        super().connection_made(transport)
        self._all.add(self)

    def connection_lost(self, exc: Exception | None) -> None:
        """Forget it (asyncio.Protocol)."""
        self._all.remove(self)
        super().connection_lost(exc)

    def send_400_response(self, msg: str) -> None:
        """Refuse what is no HTTP request."""
        self._all.note("malformed", self)
        super().send_400_response(msg)
