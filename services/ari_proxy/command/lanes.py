"""Lanes: commands of one dialog one after another, dialogs side by side, all of it bounded.

What is urgent overtakes what waits before it in its lane, but only after a while: a hang-up must
not wait until Asterisk has done a slow command, and a variable set just before it must not be lost.
"""

import asyncio
from collections import deque
from collections.abc import Awaitable, Callable
from typing import Final, Generic, TypeVar

from ari_proxy.ari import operations, urls
from ari_proxy.ari.errors import IllegalUrlError
from ari_proxy.protocol.messages import Command

T = TypeVar("T")

#: Seconds that a hang-up waits for its turn: Asterisk answers other commands within milliseconds.
PATIENCE_SECONDS: Final = 1.0


def is_hang_up(command: Command) -> bool:
    """Return whether a command ends a channel."""
    if command.method.upper() != "DELETE":
        return False
    try:
        path = urls.parse(command.url).path
    except IllegalUrlError:
        return False
    return operations.template_of(path) == "/channels/{channelId}"


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

    __slots__ = ("ahead", "item", "timer", "turn")

    def __init__(self, item: T) -> None:
        self.item = item
        self.turn = Turn()
        #: Runs until it overtakes.
        self.timer: asyncio.TimerHandle | None = None
        #: Its work, if it has overtaken what was before it.
        self.ahead: asyncio.Task[None] | None = None

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
        patience_seconds: float = PATIENCE_SECONDS,
    ) -> None:
        self._tasks = tasks
        self._work = work
        self._capacity = capacity
        self._patience_seconds = patience_seconds
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
        place.ahead = self._tasks.create_task(self._perform(key, place))

    async def _run(self, key: str) -> None:
        lane = self._lanes[key]
        try:
            while lane:
                place = lane.popleft()
                place.stay()
                place.turn.come()
                try:
                    if place.ahead is None:
                        await self._perform(key, place)
                    else:
                        await asyncio.wait((place.ahead,))
                finally:
                    self.pending -= 1
        finally:
            for place in lane:
                place.stay()
            del self._lanes[key]
            if not self._lanes:
                self._idle.set()

    async def _perform(self, key: str, place: _Place[T]) -> None:
        task = asyncio.current_task()
        assert task is not None  # noqa: S101  a coroutine runs in one
        self._busy[task] = place.turn
        try:
            await self._work(key, place.item, place.turn)
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
