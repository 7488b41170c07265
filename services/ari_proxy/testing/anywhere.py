"""A caller who hangs up anywhere: a handler is tested once for each of its requests."""

import asyncio
import itertools
from collections.abc import Awaitable, Callable
from typing import Final

from ari_proxy.aio import first_leaf, run_until_first

from .fake_call import fake_call
from .handler_run import CallHandler
from .phone import Phone

#: Requests of a handler that plays a caller's part within seconds.
MAX_RUNS: Final = 1_000


async def hang_up_anywhere(
    handler: CallHandler, play: Callable[[Phone], Awaitable[None]], *, max_runs: int = MAX_RUNS
) -> int:
    """Run a handler again and again; each time the caller hangs up one request later.

    The handler has to end each time, and leave nothing. It may raise `CallEnded`, and what Asterisk
    answers to a request for a channel that is gone. In the last run nobody disturbs it.

    Args:
        handler: under test.
        play: plays the caller and plans what is called; cancelled when the caller has hung up.
        max_runs: so many requests are taken for a handler without end.

    Returns:
        The number of runs.

    Raises:
        UnmetExpectationError: something was left.
        RuntimeError: there were `max_runs` runs.
        Exception: what the handler or `play` has raised; a note tells which request it was.
    """
    for number in range(1, max_runs + 1):
        try:
            if not await _hangs_up_before(number, handler, play):
                return number
        except Exception as error:
            error.add_note(f"The caller has hung up before request {number} of the handler.")
            raise
    raise RuntimeError(f"the handler has sent {max_runs} requests and more: has it no end?")


async def _hangs_up_before(
    number: int, handler: CallHandler, play: Callable[[Phone], Awaitable[None]]
) -> bool:
    """Hang up before the n-th request; return False if there were fewer."""
    requests = itertools.count(1)
    has_hung_up = asyncio.Event()

    async def interrupt(phone: Phone) -> None:
        if next(requests) == number:
            await phone.hung_up()
            has_hung_up.set()

    async def play_undisturbed(phone: Phone) -> None:
        try:
            await play(phone)
        except AssertionError:
            if not has_hung_up.is_set():  # Else it has expected what a call that is over can't do.
                raise

    async with fake_call(handler, interruption=interrupt) as phone:
        try:
            await run_until_first(play_undisturbed(phone), has_hung_up.wait())
        except ExceptionGroup as group:
            raise first_leaf(group) from None
    return has_hung_up.is_set()
