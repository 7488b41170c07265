"""Deadlines in the order of time, at most one per item. Sans-I/O."""

from collections import OrderedDict
from typing import Generic, TypeVar

T = TypeVar("T")


class Deadlines(Generic[T]):
    """Items with their deadlines; each new deadline has to be later than those before."""

    def __init__(self) -> None:
        self._at: OrderedDict[T, float] = OrderedDict()

    def __len__(self) -> int:
        return len(self._at)

    def set(self, item: T, at: float) -> None:
        """Set the deadline of an item; it replaces a former one."""
        self._at[item] = at
        self._at.move_to_end(item)

    def drop(self, item: T) -> None:
        """Remove the deadline of an item, if it has one."""
        self._at.pop(item, None)

    def due(self, now: float) -> list[T]:
        """Remove the items that are due and return them, the earliest first."""
        found = []
        while self._at:
            item, at = next(iter(self._at.items()))
            if at > now:
                break
            del self._at[item]
            found.append(item)
        return found
