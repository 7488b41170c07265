"""Where open websockets come from: we connect to Asterisk, or Asterisk connects to us."""

from collections.abc import AsyncGenerator
from typing import Protocol

from .message_connection import MessageConnection


class ConnectionSource(Protocol):
    """Yields the websockets of some applications, one at a time."""

    @property
    def applications(self) -> tuple[str, ...]:
        """The Stasis applications of these websockets."""
        ...

    @property
    def untrusted(self) -> str:
        """The fault of Asterisk's certificate at the last attempt, or ''."""
        ...

    @property
    def is_queued(self) -> bool:
        """True if Asterisk keeps the events while there is no websocket, and sends them later."""
        ...

    def connections(self) -> AsyncGenerator[MessageConnection, None]:
        """Yield open connections, one after another; a caller that stops closes the generator.

        The next one is opened, or accepted, when the caller asks for it.
        """
        ...

    def end(self) -> None:
        """Open no further connection: `connections` ends after the present one."""
        ...
