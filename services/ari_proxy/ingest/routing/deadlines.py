"""Deadlines in the order of time, at most one for each thing. Sans-I/O."""

from collections import OrderedDict
from typing import Generic, TypeVar

T = TypeVar("T")


class Deadlines(Generic[T]):
    """Who is due when, where each new deadline is later than those before."""

    def __init__(self) -> None:
        self._at: OrderedDict[T, float] = OrderedDict()

    def __len__(self) -> int:
        return len(self._at)

    def set(self, thing: T, at: float) -> None:
        """Give a thing a deadline, instead of the one that it has."""
        self._at[thing] = at
        self._at.move_to_end(thing)

    def drop(self, thing: T) -> None:
        """Let a thing have none."""
        self._at.pop(thing, None)

    def due(self, now: float) -> list[T]:
        """Return what is due, the earliest first; it has no deadline any more."""
        found = []
        while self._at:
            thing, at = next(iter(self._at.items()))
            if at > now:
                break
            del self._at[thing]
            found.append(thing)
        return found
