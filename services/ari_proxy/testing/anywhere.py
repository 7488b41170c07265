"""A caller who hangs up anywhere: a handler is tested once for each point at which it waits."""

import asyncio
from collections.abc import Awaitable, Callable
from typing import Final

from ari_proxy.aio import first_leaf, run_until_first

from . import target
from .errors import NotOnAsteriskError
from .fake_call import fake_call
from .handler_run import CallHandler
from .hang_up import HangUp
from .phone import Phone
from .virtual_time import VirtualTimeLoop

#: Waits of a handler that plays a caller's part within seconds.
MAX_RUNS: Final = 1_000


async def hang_up_anywhere(
    handler: CallHandler, play: Callable[[Phone], Awaitable[None]], *, max_runs: int = MAX_RUNS
) -> int:
    """Run a handler again and again; each time the caller hangs up one wait later.

    The handler waits for each request twice: until Asterisk has it, and then until the answer is
    there. And it waits for events and for time to pass: this counts once, until it has gone on or
    an event has come. The handler has to end each time, and leave nothing. It may raise
    `CallEnded`, and what Asterisk answers to a request for a channel that is gone. In the last run
    nobody disturbs it.

    Args:
        handler: under test.
        play: plays the caller and plans what is called; cancelled when the caller has hung up.
        max_runs: so many waits are taken for a handler without end.

    Returns:
        The number of runs.

    Raises:
        UnmetExpectationError: something was left.
        RuntimeError: there were `max_runs` runs; or the event loop is no `VirtualTimeLoop`, which
            alone knows when all wait.
        NotOnAsteriskError: pytest runs on a real Asterisk.
        Exception: what the handler or `play` has raised; a note tells where the handler has waited.
    """
    loop = _virtual_loop()
    for number in range(1, max_runs + 1):
        hang_up = HangUp(handler, number)
        try:
            with loop.calling_when_idle(hang_up.when_idle):
                await _run(hang_up, play)
        except Exception as error:
            if hang_up.moment:
                error.add_note(f"The caller hung up {hang_up.moment}.")
            raise
        if not hang_up.moment:
            return number
    raise RuntimeError(f"the handler has waited {max_runs} times and more: has it no end?")


def _virtual_loop() -> VirtualTimeLoop:
    if target.url():
        raise NotOnAsteriskError("on a real Asterisk nobody knows when all wait")
    loop = asyncio.get_running_loop()
    if isinstance(loop, VirtualTimeLoop):
        return loop
    raise RuntimeError("hang_up_anywhere needs a VirtualTimeLoop: run the test in one")


async def _run(hang_up: HangUp, play: Callable[[Phone], Awaitable[None]]) -> None:
    async def play_undisturbed(phone: Phone) -> None:
        try:
            await play(phone)
        except AssertionError:
            if not hang_up.moment:  # Else it has expected what a call that is over can't do.
                raise

    async with fake_call(hang_up.serve, interruption=hang_up.at_request) as phone:
        hang_up.follow(phone)
        try:
            await run_until_first(play_undisturbed(phone), hang_up.wait())
        except ExceptionGroup as group:
            hang_up.give_up()
            raise first_leaf(group) from None
