"""One run of the handler under test."""

import asyncio
from collections.abc import Awaitable, Callable

from ari_proxy.client.call import Call
from ari_proxy.client.errors import CallEnded

#: Handles one call.
CallHandler = Callable[[Call], Awaitable[None]]


class HandlerRun:
    """Whether the handler has ended, and what it has raised."""

    def __init__(self, handler: CallHandler, changed: Callable[[], None]) -> None:
        """Initialise before the call; the handler waits for `begin`.

        Args:
            handler: under test.
            changed: called when it has ended.
        """
        self._handler = handler
        self._changed = changed
        self._may_begin = asyncio.Event()
        self.is_done = False
        #: What it has raised, unless that was due to the end of its call.
        self.error: Exception | None = None

    def begin(self) -> None:
        """Let the handler begin, as soon as its call comes."""
        self._may_begin.set()

    async def serve(self, call: Call) -> None:
        """Run the handler."""
        await self._may_begin.wait()
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
