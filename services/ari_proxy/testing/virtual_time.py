"""An event loop whose clock does not wait: when all is idle, it goes to the next timer.

So a minute of ringing, or of silence, takes no time, and what a test sees does not depend on how
busy the machine is. The clock stands still while a thread works for the loop. What else is outside
of the process, such as a socket's other end, does not keep it from going on.
"""

import asyncio
import selectors
import sys
import time
from collections.abc import Callable, Iterator
from concurrent.futures import Executor
from contextlib import contextmanager
from typing import TypeVar, TypeVarTuple

from . import target

Result = TypeVar("Result")
Arguments = TypeVarTuple("Arguments")


#: Called when all tasks wait. Returns whether it has scheduled something.
WhenIdle = Callable[[], bool]


def _nothing_to_do() -> bool:
    return False


class _Clock(selectors.DefaultSelector):
    """The usual clock."""

    def __init__(self) -> None:
        super().__init__()
        #: Threads that work for the loop, and wake it when they are done.
        self.threads = 0
        #: Called when all is idle; returns whether there is something to do first.
        self.idle: WhenIdle = _nothing_to_do

    @property
    def now(self) -> float:
        """Seconds, from any time on."""
        return time.monotonic()


class _IdleClock(_Clock):
    """Instead of waiting for a timer, it goes on."""

    def __init__(self) -> None:
        super().__init__()
        self._now = 0.0

    @property
    def now(self) -> float:
        """Seconds since it was made."""
        return self._now

    def select(self, timeout: float | None = None) -> list[tuple[selectors.SelectorKey, int]]:
        """Return what is ready; if nothing is, advance the clock by `timeout`."""
        may_wait = timeout is None or timeout > 0
        if self.threads and may_wait:
            return super().select(None)
        ready = super().select(0)
        if ready or not may_wait or self.idle():
            return ready
        if timeout is None:
            return super().select(None)
        self._now += timeout
        return ready


class VirtualTimeLoop(asyncio.SelectorEventLoop):
    """An event loop that never waits for a timer; for a real Asterisk it does, as others do."""

    def __init__(self) -> None:
        self._clock = _Clock() if target.url() else _IdleClock()
        super().__init__(self._clock)

    def time(self) -> float:
        """Return the seconds since it was made, as its timers have passed them."""
        return self._clock.now

    @contextmanager
    def calling_when_idle(self, callback: WhenIdle) -> Iterator[None]:
        """Call a function during a block whenever all tasks wait, before the clock goes on.

        Args:
            callback: returns whether it has scheduled something, which then runs first.
        """
        self._clock.idle = callback
        try:
            yield
        finally:
            self._clock.idle = _nothing_to_do

    def run_in_executor(
        self,
        executor: Executor | None,
        func: Callable[[*Arguments], Result],
        *args: *Arguments,
    ) -> asyncio.Future[Result]:
        """Run a function in a thread; the clock stands still until it is done."""
        future = super().run_in_executor(executor, func, *args)
        self._clock.threads += 1
        future.add_done_callback(self._end_thread)
        return future

    def _end_thread(self, _: object) -> None:
        self._clock.threads -= 1

    @contextmanager
    def _thread(self) -> Iterator[None]:
        """Let the clock stand still during a block: a thread will wake the loop."""
        self._clock.threads += 1
        try:
            yield
        finally:
            self._clock.threads -= 1

    # It awaits a thread that joins all others; with a limit from Python 3.12 on.
    if sys.version_info >= (3, 12):

        async def shutdown_default_executor(
            self,
            timeout: float | None = None,  # noqa: ASYNC109  asyncio's own
        ) -> None:
            """End the threads of `run_in_executor`; the clock stands still until they have."""
            with self._thread():
                await super().shutdown_default_executor(timeout)

    else:

        async def shutdown_default_executor(self) -> None:
            """End the threads of `run_in_executor`; the clock stands still until they have."""
            with self._thread():
                await super().shutdown_default_executor()
