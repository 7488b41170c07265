"""A handler of calls for the time of its call."""

import asyncio
from collections.abc import Awaitable, Callable

from .asking import ends
from .call import Call
from .errors import CallEnded
from .state_keeping import state_kept

#: Handles one call; see `App.call`.
CallHandler = Callable[[Call], Awaitable[None]]


async def handle(handler: CallHandler, call: Call) -> None:
    """Run a handler, and cancel it when its call is over."""
    loop, life = asyncio.get_running_loop(), asyncio.timeout(None)

    def follow(_: object = None) -> None:
        if call.is_over and life.when() is None:
            life.reschedule(loop.time())

    try:
        async with state_kept(call, call.gap_handlers), life:
            with call.following(follow):
                follow()  # It may be over already.
                await handler(call)
        await _leave_no_legs(call)
    except CallEnded:
        if not call.is_over:
            raise
        await call.give_back()  # Legs that nothing has ended.
    except TimeoutError:
        if not life.expired():
            raise
        await call.give_back()


async def _leave_no_legs(call: Call) -> None:
    """Hang up the legs if the handler has ended its call, which is told only after the answer."""
    if call.has_legs and await ends(call):
        await call.give_back()
