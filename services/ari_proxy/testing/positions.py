"""Where tasks wait: the lines of the code under test. Sans-I/O."""

import asyncio
import sysconfig
from collections.abc import Iterator
from pathlib import Path
from types import CodeType, FrameType
from typing import Final, NamedTuple

#: Code here is not the author's: this library, and Python's own.
_LIBRARIES: Final = (str(Path(__file__).parents[1]), sysconfig.get_path("stdlib"))
#: Attributes of coroutines, generators and asynchronous generators: the frame, and what it awaits.
_FRAMES: Final = ("cr_frame", "gi_frame", "ag_frame")
_AWAITED: Final = ("cr_await", "gi_yieldfrom", "ag_await")


class Position(NamedTuple):
    """A line of a function."""

    code: CodeType
    line: int

    def __str__(self) -> str:
        """Return file, line and function, like `/srv/menu.py:12, in ask`."""
        return f"{self.code.co_filename}:{self.line}, in {self.code.co_name}"


def position_of(waiting: object) -> Position | None:
    """Return where a coroutine waits: its innermost line that is no library's; None without one."""
    last = None
    for frame in _frames(waiting):
        code = frame.f_code
        if last is None or not code.co_filename.startswith(_LIBRARIES):
            last = Position(code, frame.f_lineno)
    return last


def positions() -> frozenset[Position]:
    """Return where all tasks of the running event loop wait."""
    coroutines = (task.get_coro() for task in asyncio.all_tasks())
    return frozenset(found for found in map(position_of, coroutines) if found is not None)


def _frames(waiting: object) -> Iterator[FrameType]:
    """Yield the frames of a coroutine and of what it awaits, outermost first."""
    while waiting is not None:
        frame = _first(waiting, _FRAMES)
        if isinstance(frame, FrameType):
            yield frame
        waiting = _first(waiting, _AWAITED)


def _first(holder: object, names: tuple[str, ...]) -> object:
    return next((getattr(holder, name) for name in names if hasattr(holder, name)), None)
