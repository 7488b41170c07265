"""Waiting for one event of a call."""

import asyncio
from collections.abc import Callable
from typing import Generic

from .ari.model import EventT
from .call_end import CallEnd
from .events import Event
from .party import Party


class Wait(Generic[EventT]):
    """A wait for the next event of a type, until the call ends."""

    def __init__(
        self, event_type: type[EventT], where: Callable[[EventT], bool], end: CallEnd
    ) -> None:
        self._event_type = event_type
        self._where = where
        self._end = end
        #: None once the call has ended without one.
        self._found: asyncio.Future[EventT | None] = asyncio.get_running_loop().create_future()

    def _look(self, event: Event) -> None:
        """Handle an event that has arrived."""
        if self._found.done():
            return
        try:
            if isinstance(event, self._event_type) and self._where(event):
                self._found.set_result(event)
            elif self._end.is_over:
                self._found.set_result(None)
        except Exception as error:  # noqa: BLE001  of whatever kind: who waits gets it
            self._found.set_exception(error)

    async def result(self, party: Party, timeout_seconds: float | None) -> EventT:
        """Return the first such event that a party hears from now on.

        Raises:
            CallEnded: the call has ended before.
            TimeoutError: none came in time.
        """
        if self._end.is_over:
            raise self._end.error()
        with party.following(self._look):
            return await self._result(timeout_seconds)

    async def _result(self, timeout_seconds: float | None) -> EventT:
        deadline = asyncio.timeout(timeout_seconds)
        try:
            async with deadline:
                event = await self._found
        except TimeoutError as error:
            if not deadline.expired():
                raise  # What `where` has raised.
            name, call = self._event_type.__name__, self._end.call_id
            text = f"no {name} of call {call} within {timeout_seconds:g} s"
            raise TimeoutError(text) from error
        finally:
            self._note_read()
        if event is None:
            raise self._end.error()
        return event

    def _note_read(self) -> None:
        """Have asyncio not complain of an error that came as the wait was cancelled."""
        if self._found.done() and not self._found.cancelled():
            self._found.exception()
