"""One run of the handler under test."""

from collections.abc import Awaitable, Callable

from ari_proxy.client.call import Call
from ari_proxy.client.errors import CallEnded

#: Handles one call.
CallHandler = Callable[[Call], Awaitable[None]]


class HandlerRun:
    """Whether the handler has ended, and what it has raised."""

    def __init__(self, handler: CallHandler, changed: Callable[[], None]) -> None:
        """Initialise before the call.

        Args:
            handler: under test.
            changed: called when it has ended.
        """
        self._handler = handler
        self._changed = changed
        self.is_done = False
        #: What it has raised, unless that was due to the end of its call.
        self.error: Exception | None = None

    async def serve(self, call: Call) -> None:
        """Run the handler."""
        try:
            await self._handler(call)
        except CallEnded as error:
            if not call.is_over:
                self.error = error
                raise
        except Exception as error:
            self.error = error
            raise
        finally:
            self.is_done = True
            self._changed()
