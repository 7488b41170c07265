"""The queues that one bus has declared or taken over, and that are to stay. Sans-I/O."""

from collections.abc import Collection, Iterator
from contextlib import contextmanager

from ari_proxy.bus.durable import DeclaredQueues
from ari_proxy.protocol import topics

#: Queues that were declared together.
Names = tuple[str, ...]


class Declared:
    """Sets of queues: those with a note are recorded in the registry, the others are not."""

    def __init__(self) -> None:
        self._notes: dict[Names, str] = {}
        #: Those of them that RabbitMQ has not confirmed yet.
        self._declaring: set[Names] = set()
        self._deleting: set[str] = set()
        self._others: set[str] = set()

    @property
    def queues(self) -> list[str]:
        """All of them."""
        return [*self._others, *(name for names in self._notes for name in names)]

    def has(self, queue: str) -> bool:
        """Return whether a queue is one of ours, and is to stay."""
        if queue in self._deleting:
            return False
        return queue in self._others or any(queue in names for names in self._notes)

    def has_noted(self, names: Names) -> bool:
        """Return whether these queues were declared together, with a note."""
        return names in self._notes

    def matching(self, pattern: str) -> list[str]:
        """Return the recorded queues of a pattern.

        Those that are being declared are announced to all listeners when they are.
        """
        declared = [names for names in self._notes if names not in self._declaring]
        return [name for names in declared for name in names if topics.matches(pattern, name)]

    def unrecorded(self, recorded: Collection[Names]) -> list[DeclaredQueues]:
        """Return the sets with a note that are neither recorded nor being declared."""
        settled = self._declaring.union(recorded)
        return [DeclaredQueues(*one) for one in self._notes.items() if one[0] not in settled]

    @contextmanager
    def declaring(self, names: Names, note: str) -> Iterator[None]:
        """Add queues with a note, around their declaration."""
        self._notes[names] = note
        self._declaring.add(names)
        try:
            yield
        finally:
            self._declaring.discard(names)

    @contextmanager
    def deleting(self, names: Names) -> Iterator[None]:
        """Let no queue be brought back while it is being deleted."""
        self._deleting.update(names)
        try:
            yield
        finally:
            self._deleting.difference_update(names)

    def add(self, names: Names) -> None:
        """Add queues without a note."""
        self._others.update(names)

    def take_over(self, declared: DeclaredQueues) -> bool:
        """Add what a predecessor has declared; return False if it is known."""
        if declared.topics in self._notes:
            return False
        self._notes[declared.topics] = declared.note
        return True

    def remove(self, names: Names) -> None:
        """Remove queues."""
        self._notes.pop(names, None)
        self._others.difference_update(names)

    def hand_over(self) -> None:
        """Remove all queues that are recorded: they are a successor's from now on."""
        self._notes.clear()
