"""The process: event loop, signals, drain.

The first SIGTERM or SIGINT starts a drain: no new dialogs, finish commands, flush, exit 0. A second
one ends the process at once. As PID 1 of a container a process without handlers would ignore both.
"""

import asyncio
import gc
import importlib.util
import os
import signal
from collections.abc import Awaitable, Callable
from typing import Final

from .lazy_logger import LazyLogger

_log = LazyLogger()

#: New objects after which the collector looks at them; Python's 700 cost 3 % of a command.
_YOUNG_OBJECTS: Final = 10_000

Main = Callable[[asyncio.Event], Awaitable[None]]


def run(main: Main, *, at_once: Callable[[], None] = lambda: None) -> None:
    """Run `main` until it returns.

    Args:
        main: receives an event that is set on the first signal.
        at_once: called on a second signal, before an exit without unwinding: ends child processes.
    """
    with asyncio.Runner(loop_factory=_loop_factory()) as runner:
        runner.run(_with_signals(main, at_once))


def _loop_factory() -> Callable[[], asyncio.AbstractEventLoop] | None:
    if importlib.util.find_spec("uvloop") is None:
        return None
    import uvloop  # noqa: PLC0415  an extra

    return uvloop.new_event_loop


async def _with_signals(main: Main, at_once: Callable[[], None]) -> None:
    stop = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, _on_signal, number, stop, at_once)
    # Exempt imported objects from collection: walking them stops every call for 50 ms.
    gc.collect()
    gc.freeze()
    gc.set_threshold(_YOUNG_OBJECTS)
    await main(stop)


def _on_signal(number: signal.Signals, stop: asyncio.Event, at_once: Callable[[], None]) -> None:
    if stop.is_set():
        at_once()
        os._exit(128 + number)
    _log.info("drain.started", signal=number.name)
    stop.set()
