"""Lanes: commands of one dialog one after another, dialogs side by side, all of it bounded.

What is urgent overtakes what is before it in its lane, but only after a while: a hang-up must not
wait until Asterisk has done a slow command, and a variable set just before it must not be lost. It
overtakes nothing that may create a channel: that channel would come into being after its hang-up.
"""

import asyncio
import itertools
from collections import deque
from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager
from typing import Final, Generic, TypeVar

T = TypeVar("T")

#: Seconds that a hang-up waits for its turn: Asterisk answers other commands within milliseconds.
PATIENCE_SECONDS: Final = 1.0


class LanesFullError(Exception):
    """As many commands wait or run as are allowed."""


class Turn:
    """When all that came before an item is done."""

    def __init__(self) -> None:
        self._has_come = asyncio.Event()
        #: True while the item's work has nothing to do but to wait for it.
        self.is_awaited = False

    def come(self) -> None:
        """Let whoever waits go on."""
        self.is_awaited = False
        self._has_come.set()

    async def wait(self) -> None:
        """Return once it has come."""
        self.is_awaited = not self._has_come.is_set()
        await self._has_come.wait()


class _Place(Generic[T]):
    """The place of an item in its lane."""

    __slots__ = ("ahead", "held", "holds_back", "item", "timer", "turn")

    def __init__(self, item: T) -> None:
        self.item = item
        self.turn = Turn()
        #: Runs until it overtakes.
        self.timer: asyncio.TimerHandle | None = None
        #: Its work, if it has overtaken what was before it.
        self.ahead: asyncio.Task[None] | None = None
        #: Whether no item may overtake it; None while that has not mattered.
        self.holds_back: bool | None = None
        #: Those behind it that overtake once it is done.
        self.held: list[_Place[T]] = []

    def stay(self) -> None:
        """Overtake no more."""
        if self.timer is not None:
            self.timer.cancel()


class Lanes(Generic[T]):
    """Runs a coroutine function for each item: in order per key, concurrently across keys.

    The work of an item that has overtaken others awaits its turn where it needs the order.
    """

    def __init__(
        self,
        tasks: asyncio.TaskGroup,
        work: Callable[[str, T, Turn], Awaitable[None]],
        *,
        capacity: int,
        holds_back: Callable[[T], bool] = lambda _: False,
        patience_seconds: float = PATIENCE_SECONDS,
    ) -> None:
        """Make lanes.

        Args:
            tasks: run the work.
            work: on one item of a lane, with its turn.
            capacity: how many items may wait or run.
            holds_back: whether no item may overtake this one.
            patience_seconds: how long what is urgent waits before it overtakes.
        """
        self._tasks = tasks
        self._work = work
        self._capacity = capacity
        self._holds_back = holds_back
        self._patience_seconds = patience_seconds
        #: The first of each is under way.
        self._lanes: dict[str, deque[_Place[T]]] = {}
        #: The work that has begun; a task that is cancelled earlier would drop its items.
        self._busy: dict[asyncio.Task[None], Turn] = {}
        self._idle = asyncio.Event()
        self._idle.set()
        self.pending = 0

    def is_waiting(self, key: str) -> bool:
        """Return whether an item for the lane of `key` would have to wait."""
        return key in self._lanes

    def put(self, key: str, item: T, *, urgent: bool = False) -> None:
        """Take an item for the lane of `key`.

        Args:
            key: the lane's.
            item: what to work on.
            urgent: whether it may overtake.

        Raises:
            LanesFullError: too many items wait.
        """
        if self.pending >= self._capacity:
            raise LanesFullError
        self.pending += 1
        self._idle.clear()
        place = _Place(item)
        lane = self._lanes.get(key)
        if lane is None:
            self._lanes[key] = deque([place])
            self._tasks.create_task(self._run(key))
            return
        lane.append(place)
        if urgent:
            loop = asyncio.get_running_loop()
            place.timer = loop.call_later(self._patience_seconds, self._overtake, key, place)

    def _overtake(self, key: str, place: _Place[T]) -> None:
        """Begin an item before its turn, or as soon as what holds it back is done."""
        for earlier in itertools.takewhile(lambda other: other is not place, self._lanes[key]):
            if earlier.holds_back is None:
                earlier.holds_back = self._holds_back(earlier.item)
            if earlier.holds_back:
                earlier.held.append(place)
                return
        place.ahead = self._tasks.create_task(self._run_ahead(key, place))

    async def _run(self, key: str) -> None:
        lane = self._lanes[key]
        try:
            while lane:
                place = lane[0]
                place.stay()
                place.turn.come()
                try:
                    if place.ahead is None:
                        with self._working(place):
                            await self._work(key, place.item, place.turn)
                    else:
                        await asyncio.wait((place.ahead,))
                finally:
                    lane.popleft()
                    self.pending -= 1
                for held in place.held:
                    self._overtake(key, held)
        finally:
            for place in lane:
                place.stay()
            del self._lanes[key]
            if not self._lanes:
                self._idle.set()

    async def _run_ahead(self, key: str, place: _Place[T]) -> None:
        with self._working(place):
            await self._work(key, place.item, place.turn)

    @contextmanager
    def _working(self, place: _Place[T]) -> Iterator[None]:
        """Let `cancel_work` find the task that works on an item."""
        task = asyncio.current_task()
        assert task is not None  # noqa: S101  a coroutine runs in one
        self._busy[task] = place.turn
        try:
            yield
        finally:
            del self._busy[task]

    def cancel_work(self) -> None:
        """Cancel the work under way; it is the work's own choice to end its lane with it.

        What only awaits its turn is done, and gets it.
        """
        for task, turn in self._busy.items():
            if not turn.is_awaited:
                task.cancel()

    async def wait_idle(self) -> None:
        """Return once nothing waits or runs."""
        await self._idle.wait()
