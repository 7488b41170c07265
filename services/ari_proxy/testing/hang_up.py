"""One hang-up at the n-th point at which a handler waits."""

import asyncio
from collections.abc import Awaitable

from ari_proxy.client.call import Call
from ari_proxy.client.events import Event

from .handler_run import CallHandler
from .phone import Phone
from .positions import Position, position_of, positions


class HangUp:
    """Runs a handler, counts the points at which it waits, and hangs up at one of them.

    What has changed since the former point tells a new one: a handler that waits at the same place,
    without an event or an answer in between, has not gone on.
    """

    def __init__(self, handler: CallHandler, number: int) -> None:
        """Initialise before the call.

        Args:
            handler: under test.
            number: of the point, from 1 on.
        """
        self._handler = handler
        self._left = number
        self._phone: Phone | None = None
        self._running: Awaitable[None] | None = None
        #: Events and answers so far.
        self._steps = 0
        self._seen: tuple[int, frozenset[Position]] | None = None
        self._has_hung_up = asyncio.Event()
        #: When it was, in words; '' if the handler has not waited so often.
        self.moment = ""

    async def serve(self, call: Call) -> None:
        """Run the handler."""
        with call.following(self._note):
            self._running = self._handler(call)
            try:
                await self._running
            finally:
                self._running = None

    def follow(self, phone: Phone) -> None:
        """Have the caller hang up with this phone."""
        self._phone = phone

    def give_up(self) -> None:
        """Hang up no more: the run has failed."""
        self._phone = None

    async def wait(self) -> None:
        """Return once the caller has hung up."""
        await self._has_hung_up.wait()

    async def at_request(self, phone: Phone, moment: str) -> None:
        """Hang up around a request if it is time to."""
        self._steps += 1
        if self._is_now(phone, moment):
            await phone.hung_up()
            self._has_hung_up.set()

    def when_idle(self) -> bool:
        """Hang up while all tasks wait if it is time to; return whether it was."""
        if self._phone is None or self._running is None or not self._is_new():
            return False
        is_now = self._is_now(self._phone, "while the handler waited")
        if is_now:
            self._phone.hang_up()
            self._has_hung_up.set()
        return is_now

    def _is_new(self) -> bool:
        """Return whether something has happened since the handler was last seen to wait."""
        former, self._seen = self._seen, (self._steps, positions())
        return self._seen != former

    def _is_now(self, phone: Phone, what: str) -> bool:
        """Count a point; return whether the caller hangs up there."""
        if self.moment or self._phone is None or not phone.is_connected:
            return False
        self._left -= 1
        if self._left:
            return False
        where = position_of(self._running)
        self.moment = what if where is None else f"{what} at {where}"
        return True

    def _note(self, _: Event) -> None:
        self._steps += 1
