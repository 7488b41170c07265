"""Where open websockets come from: we connect to Asterisk, or Asterisk connects to us."""

from collections.abc import AsyncGenerator, Callable, Collection
from typing import Protocol

from .message_connection import MessageConnection


class ConnectionSource(Protocol):
    """Yields the websockets of some applications, one at a time."""

    @property
    def applications(self) -> tuple[str, ...]:
        """The Stasis applications of these websockets."""
        ...

    def connections(self) -> AsyncGenerator[MessageConnection, None]:
        """Yield open connections, one after another; a caller that stops closes the generator.

        The next one is opened, or accepted, when the caller asks for it.
        """
        ...

    def end(self) -> None:
        """Open no further connection: `connections` ends after the present one."""
        ...


class EventSource(ConnectionSource, Protocol):
    """Yields the websockets on which Asterisk sends events."""

    @property
    def is_queued(self) -> bool:
        """True if Asterisk keeps the events while there is no websocket, and sends them later."""
        ...

    @property
    def untrusted(self) -> str:
        """The fault of Asterisk's certificate at the last attempt, or ''."""
        ...

    def leave(self, applications: Collection[str]) -> None:
        """Have the next connection that we open leave some applications to their clients."""
        ...

    async def read(self, connection: MessageConnection, take: Callable[[bytes], None]) -> None:
        """Pass on the events of a connection, undecoded, until the connection has ended.

        Args:
            connection: one of `connections`.
            take: called for each event; must not wait.
        """
        ...
