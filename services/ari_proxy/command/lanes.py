"""Lanes: items of one key run one after another, keys run side by side; all of it is bounded.

An urgent item overtakes the items before it, but only after a while: a hang-up must not wait for a
slow command, yet a variable set just before it must not be lost. It does not overtake a command
that may create a channel: the channel would be created after its hang-up, and stay.
"""

import asyncio
import itertools
from collections import deque
from collections.abc import Awaitable, Callable, Coroutine
from functools import partial
from typing import Final, Generic, TypeVar

T = TypeVar("T")

#: How long an urgent item waits before it overtakes: Asterisk answers most commands within
#: milliseconds.
PATIENCE_SECONDS: Final = 1.0


class LanesFullError(Exception):
    """The number of items that wait or run is at its limit."""


class Turn:
    """An item's turn: it comes when all items before it are done."""

    __slots__ = ("_awaited", "_has_come")

    def __init__(self) -> None:
        self._has_come = False
        #: Set once it has come; most items begin when it has.
        self._awaited: asyncio.Event | None = None

    @property
    def is_awaited(self) -> bool:
        """True while the item's work only waits for its turn."""
        return self._awaited is not None and not self._has_come

    def come(self) -> None:
        """Wake the work that waits."""
        self._has_come = True
        if self._awaited is not None:
            self._awaited.set()

    async def wait(self) -> None:
        """Wait for the turn."""
        if not self._has_come:
            self._awaited = self._awaited or asyncio.Event()
            await self._awaited.wait()


class _Place(Generic[T]):
    """The place of an item in its lane."""

    __slots__ = ("_holds_back", "_task", "_timer", "ahead", "held", "item", "turn")

    def __init__(self, item: T) -> None:
        self.item = item
        self.turn = Turn()
        #: Runs until the item overtakes.
        self._timer: asyncio.TimerHandle | None = None
        #: The task that works on the item; None until it has begun, since a task that is cancelled
        #: earlier would drop its items.
        self._task: asyncio.Task[None] | None = None
        #: The item's own task, if it has overtaken others.
        self.ahead: asyncio.Task[None] | None = None
        #: Whether no item may overtake this one; None until that matters.
        self._holds_back: bool | None = None
        #: Items that overtake once this one is done.
        self.held: list[_Place[T]] = []

    def call_later(self, seconds: float, overtake: Callable[[], None]) -> None:
        """Call `overtake` after this time, unless the item's turn comes before."""
        self._timer = asyncio.get_running_loop().call_later(seconds, overtake)

    def stay(self) -> None:
        """Leave the item in its place."""
        if self._timer is not None:
            self._timer.cancel()

    def holds(self, later: "_Place[T]", holds_back: Callable[[T], bool]) -> bool:
        """Return whether a later item has to wait for it; note that it waits."""
        if self._holds_back is None:
            self._holds_back = holds_back(self.item)
        if self._holds_back:
            self.held.append(later)
        return self._holds_back

    def overtake(self, work: Coroutine[None, None, None], tasks: asyncio.TaskGroup) -> None:
        """Start the item's work before its turn."""
        self.ahead = tasks.create_task(work)

    def begin(self) -> None:
        """Record that the current task works on the item."""
        self._task = asyncio.current_task()

    def cancel_work(self) -> None:
        """Cancel the work on the item, unless it only waits for its turn."""
        if self._task is not None and not self.turn.is_awaited:
            self._task.cancel()


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
        """Initialise empty lanes.

        Args:
            tasks: the group of the lanes' tasks.
            work: called with the key, the item and the item's turn.
            capacity: the most items that wait or run.
            holds_back: returns whether no item may overtake this one.
            patience_seconds: how long an urgent item waits before it overtakes.
        """
        self._tasks = tasks
        self._work = work
        self._capacity = capacity
        self._holds_back = holds_back
        self._patience_seconds = patience_seconds
        #: The first item of each lane is being worked on.
        self._lanes: dict[str, deque[_Place[T]]] = {}
        self._idle = asyncio.Event()
        self._idle.set()
        self.pending = 0

    def is_waiting(self, key: str) -> bool:
        """Return whether an item for the lane of `key` would have to wait."""
        return key in self._lanes

    def put(self, key: str, item: T, *, urgent: bool = False) -> None:
        """Add an item to the lane of `key`; an urgent one may overtake.

        Raises:
            LanesFullError: as many items wait or run as the capacity allows.
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
            place.call_later(self._patience_seconds, partial(self._overtake, key, place))

    def _overtake(self, key: str, place: _Place[T]) -> None:
        """Start an item before its turn, or as soon as no item holds it back."""
        for earlier in itertools.takewhile(lambda other: other is not place, self._lanes[key]):
            if earlier.holds(place, self._holds_back):
                return
        place.overtake(self._perform(key, place), self._tasks)

    async def _run(self, key: str) -> None:
        lane = self._lanes[key]
        try:
            while lane:
                place = lane[0]
                place.stay()
                place.turn.come()
                try:
                    if place.ahead is None:
                        place.begin()
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

    async def _perform(self, key: str, place: _Place[T]) -> None:
        place.begin()
        await self._work(key, place.item, place.turn)

    def cancel_work(self) -> None:
        """Cancel the work that is running; its lane goes on if the work swallows that.

        Work that only waits for its turn is not cancelled: the turn comes.
        """
        for place in itertools.chain.from_iterable(self._lanes.values()):
            place.cancel_work()

    async def wait_idle(self) -> None:
        """Wait until no item waits or runs."""
        await self._idle.wait()
